import assert from "node:assert/strict";
import { test } from "node:test";
import type { Token, Tokens } from "marked";
import { BlockSplitter, definitions, notes } from "../src/lib/markdown/blocks";
import { fileName } from "../src/lib/markdown/files";
import { isHard, isTangled } from "../src/lib/markdown/hard";
import { parser, topLevel, type Formula } from "../src/lib/markdown/parser";

/** The formulas of a text, those that stand by themselves in brackets. */
function formulas(source: string): string[] {
  const found: string[] = [];
  parser.walkTokens(parser.lexer(source), (token: Token) => {
    if (token.type === "formula" || token.type === "formulaBlock") {
      const { tex, display } = token as Formula;
      found.push(display ? `[${tex}]` : tex);
    }
  });
  return found;
}

test("formulas are found in a line and by themselves", () => {
  assert.deepEqual(formulas("Euler: $e^{i\\pi}+1=0$, \\(a_1\\) and $x$."), ["e^{i\\pi}+1=0", "a_1", "x"]);
  assert.deepEqual(formulas("$$\nx = 1\n$$\n\ntext\n\n\\[ y \\]\n\n\\begin{align}\na &= b\n\\end{align}\n"), [
    "[x = 1]",
    "[y]",
    "[\\begin{align}\na &= b\n\\end{align}]",
  ]);
  assert.deepEqual(formulas("- so $$z$$ it is\n\n| a |\n|---|\n| $q$ |"), ["[z]"].concat(["q"]));
  assert.deepEqual(formulas("*$a_1$* and **$b_2$**"), ["a_1", "b_2"]);
});

test("money, code and prices stay text", () => {
  for (const text of [
    "It costs $5 and $10.",
    "Between $5-$10, or 20$ at most.",
    "From $ 5 to 6 $ it is.",
    "Pay $5 or maybe 10$ more",
    "`$x$` is code, and so is\n\n```\n$$y$$\n```\n",
    "a \\$x$ escaped",
    "US$ and A$ and $HOME",
  ]) {
    assert.deepEqual(formulas(text), [], text);
  }
});

test("a formula that is being written is one from its beginning, and never half of one", () => {
  const whole = "Text.\n\n$$\na_1 = b_1\n\n+ c_1\n$$\n\nMore.";
  const splitter = new BlockSplitter();
  for (let end = 1; end < whole.length; end += 1) {
    const blocks = splitter.update(whole.slice(0, end), false);
    const [tail] = topLevel(blocks.at(-1)!, true).slice(-1);
    if (end > 9 && end < whole.indexOf("\n\nMore")) assert.equal(tail!.type, "formulaBlock", whole.slice(0, end));
  }
  assert.deepEqual(splitter.update(whole, true), new BlockSplitter().update(whole, true));
});

test("footnotes are no link definitions, and are told from brackets", () => {
  const [note] = topLevel("[^1]: see *there*\n  and here\n", false) as Tokens.Generic[];
  assert.equal(note!.type, "note");
  assert.equal(definitions("[^1]: word\n[a]: https://example.org"), "[a]: https://example.org");
});

test("footnotes are numbered as the text refers to them, and only those that are there", () => {
  assert.deepEqual(notes("One[^b], two[^a], again[^b].\n\n[^a]: A.\n[^b]: B.\n[^c]: C."), ["b", "a", "c"]);
  assert.deepEqual(notes("`[^x]` is no note: [^1].\n\n[^1]: One."), ["1"]);
  assert.deepEqual(notes("Its note has not come yet[^1]."), []);
});

test("text made to be slow is known, and what people write is not", () => {
  const slow = [
    "[".repeat(100_000),
    "`".repeat(50_000),
    "*a ".repeat(50_000),
    "a".repeat(1_000_000),
    "> ".repeat(500) + "deep",
    "- ".repeat(500) + "deep",
    "[a](".repeat(50_000),
    "$".repeat(10_000),
    "<".repeat(10_000),
    `|${"a|".repeat(100)}\n`.repeat(200),
    "- [ ] a\n".repeat(10_000),
  ];
  for (const text of slow) assert.ok(isHard(text), text.slice(0, 20));
  const fine = [
    "-".repeat(200),
    "=".repeat(200),
    "| a | b |\n|---|---|\n".repeat(3),
    "> quoted\n> > twice\n",
    "- a\n  - b\n    - c\n",
    "Some *words* with `code` and [links](https://example.org). ".repeat(80),
    "```\n" + "const a = [1, 2, 3];\n".repeat(5000) + "```",
  ];
  for (const text of fine) assert.ok(!isHard(text), text.slice(0, 20));
  assert.ok(!isTangled("word ".repeat(5000)));
});

test("what is too tangled to be told apart is cut at empty lines, and stays whole", () => {
  const source = `one\n\n${"[".repeat(50_000)}\n\ntwo`;
  assert.equal(new BlockSplitter().update(source, true).join(""), source);
});

test("a code block is saved under a name that says its language", () => {
  const names = ["python", "Rust", "", "c++", "weird language", "../../etc", "Dockerfile"].map(fileName);
  assert.deepEqual(names, ["code.py", "code.rs", "code.txt", "code.cpp", "code.txt", "code.txt", "Dockerfile"]);
});
