import assert from "node:assert/strict";
import { test } from "node:test";
import { cells, classOf, formatProbability, rankOf, summarise, visible, type ScoredToken } from "../src/lib/tokens";

function token(text: string | number[], logprob: number | null = -1, top: number[] = []): ScoredToken {
  const whole = typeof text === "string";
  return {
    id: 1,
    text: whole ? text : null,
    bytes: whole ? null : text,
    logprob,
    control: false,
    top: top.map((id) => ({ id, text: "x", bytes: null, logprob: -1, control: false })),
  };
}

test("bytes that make up a character show it once, and say which part each is", () => {
  const parrot = [...new TextEncoder().encode("🦜")];
  const drawn = cells([token("a"), token(parrot.slice(0, 2)), token(parrot.slice(2, 3)), token(parrot.slice(3)), token("b")]);
  assert.deepEqual(drawn.map(({ shown }) => shown), ["a", "🦜", "", "", "b"]);
  assert.deepEqual(drawn.map(({ piece }) => piece?.index ?? 0), [0, 1, 2, 3, 0]);
  assert.equal(drawn[1]!.piece!.count, 3);
});

test("bytes that never become a character are shown as such, and hold up nothing", () => {
  const drawn = cells([token([0xf0]), token([0x9f]), token("text"), token([0xff])]);
  assert.deepEqual(drawn.map(({ shown }) => shown), ["\ufffd", "", "text", "\ufffd"]);
  assert.equal(cells(Array.from({ length: 1000 }, () => token([0x80]))).length, 1000);
});

test("a token that ends one character and begins another belongs to both", () => {
  const bytes = [...new TextEncoder().encode("日本")];
  const drawn = cells([token(bytes.slice(0, 2)), token(bytes.slice(2, 4)), token(bytes.slice(4))]);
  assert.deepEqual(drawn.map(({ shown }) => shown), ["日本", "", ""]);
});

test("white space can be seen, and a line still ends where it ends", () => {
  assert.deepEqual(visible(" a  b\n\tc"), [
    { text: "·", sign: true },
    { text: "a", sign: false },
    { text: "··", sign: true },
    { text: "b", sign: false },
    { text: "↵\n→", sign: true },
    { text: "c", sign: false },
  ]);
});

test("probabilities fall into classes, and are never told as certain or impossible", () => {
  const kinds = [0.95, 0.9, 0.7, 0.4, 0.2, 0.05, 0.001].map((probability) => classOf(Math.log(probability)));
  assert.deepEqual(kinds, [0, 0, 1, 2, 3, 4, 5]);
  assert.equal(classOf(null), null);
  assert.deepEqual([-1e9, Math.log(0.043), Math.log(0.432), -1e-9].map(formatProbability), ["< 0.1 %", "4.3 %", "43 %", "> 99.9 %"]);
});

test("the summary is of the tokens that have a probability", () => {
  const summary = summarise([token("a", null), token("b", Math.log(0.5)), token("c", Math.log(0.125))], 1)!;
  assert.equal(summary.count, 3);
  assert.ok(Math.abs(summary.perplexity - 4) < 1e-9);
  assert.ok(Math.abs(summary.mean - 0.3125) < 1e-9);
  assert.deepEqual(summary.surprises, [2]);
  assert.equal(summarise([token("a", null)]), null);
});

test("the rank of what was chosen is known among its rivals only", () => {
  assert.equal(rankOf(token("a", -1, [7, 1])), 2);
  assert.equal(rankOf(token("a", -1, [7, 8])), null);
});
