import assert from "node:assert/strict";
import { test } from "node:test";

import { difference, words } from "../src/lib/diff";

function sides(before: string, after: string): { before: string; after: string; places: number } {
  const { pieces, places } = difference(before, after);
  const without = (kind: string): string => pieces.map((piece) => (piece.kind === kind ? "" : piece.text)).join("");
  return { before: without("new"), after: without("gone"), places };
}

test("words and what is between them are the text", () => {
  for (const text of ["", "one  two,\nthree.", "如何学习弹吉他？", "مرحبا بك"]) assert.equal(words(text).join(""), text);
  assert.ok(words("如何学习弹吉他").length > 1);
});

test("what changed is marked, and both texts are whole", () => {
  const pairs = [
    ["", "new"],
    ["the same", "the same"],
    ["The cat sat on the mat.", "The dog sat on a mat, quietly."],
    ["a b c d e f g", "g f e d c b a"],
    ["one two three four", "zero one three four five"],
  ] as const;
  for (const [before, after] of pairs) {
    const found = sides(before, after);
    assert.equal(found.before, before);
    assert.equal(found.after, after);
  }
  assert.equal(sides("the same", "the same").places, 0);
  assert.deepEqual(
    difference("The cat sat.", "The dog sat.").pieces,
    [
      { kind: "same", text: "The " },
      { kind: "gone", text: "cat" },
      { kind: "new", text: "dog" },
      { kind: "same", text: " sat." },
    ],
  );
  assert.equal(difference("The cat sat.", "The dog sat.").places, 1);
});

test("texts that share little are marked as a whole instead of being searched for ever", () => {
  const many = (word: string): string => Array.from({ length: 4000 }, (_, n) => `${word}${n}`).join(" ");
  const found = difference(`begin ${many("a")} end`, `begin ${many("b")} end`);
  assert.equal(found.unlike, true);
  assert.deepEqual(found.pieces.map(({ kind }) => kind), ["same", "gone", "new", "same"]);
});

test("a small change in a long text is found", () => {
  const long = Array.from({ length: 20_000 }, (_, n) => `w${n % 97}`);
  const changed = long.with(5, "x").with(19_990, "y");
  const found = difference(long.join(" "), changed.join(" "));
  assert.equal(found.unlike, false);
  assert.equal(found.places, 2);
});
