import assert from "node:assert/strict";
import { test } from "node:test";
import { BlockSplitter, definitions } from "../src/lib/markdown/blocks";
import { fenceOf, runsOf } from "../src/lib/markdown/fence";

const ANSWER = `\n\nFirst, a *paragraph*
on two lines.

Title
=====

| a | b |
|---|---|
| 1 | 2 |

- one

  still one
- two
    - deep

1. first

\`\`\`python
def f():

    return "| not | a table |"
\`\`\`

> quoted
lazily

<div>
html
</div>

    indented code

[ref]: https://example.org

Last, see [ref].
`;

/** The source in pieces of `size` characters, as an answer arrives. */
function* growing(source: string, size: number): Generator<string> {
  for (let end = size; end < source.length; end += size) yield source.slice(0, end);
  yield source;
}

for (const size of [1, 2, 3, 7, 64]) {
  test(`growing by ${size}, blocks always make up the whole text, and end as if parsed at once`, () => {
    const splitter = new BlockSplitter();
    let blocks: string[] = [];
    for (const source of growing(ANSWER, size)) {
      blocks = splitter.update(source, false);
      assert.equal(blocks.join(""), source.trim() === "" ? "" : source);
    }
    assert.deepEqual(blocks, new BlockSplitter().update(ANSWER, true));
  });
}

test("a block that two others follow never changes again", () => {
  const splitter = new BlockSplitter();
  let before: string[] = [];
  for (const source of growing(ANSWER, 1)) {
    const blocks = splitter.update(source, false);
    const settled = before.slice(0, -2);
    assert.deepEqual(blocks.slice(0, settled.length), settled);
    before = blocks;
  }
});

test("Windows line ends make the same blocks", () => {
  const splitter = new BlockSplitter();
  const blocks = splitter.update(ANSWER.replaceAll("\n", "\r\n"), false);
  assert.deepEqual(blocks, new BlockSplitter().update(ANSWER, true));
});

test("a text that does not continue the last one starts anew", () => {
  const splitter = new BlockSplitter();
  splitter.update("one\n\ntwo\n\nthree\n\nfour", false);
  assert.deepEqual(splitter.update("other\n\ntext", false), ["other\n\n", "text"]);
});

test("only the tail is parsed again: the time of a long answer does not grow with its square", () => {
  const paragraph = "Some words of an answer that goes on for a while.\n\n";
  const splitter = new BlockSplitter();
  let source = "";
  for (let count = 1; count <= 3000; count += 1) {
    source += paragraph;
    // From the 301st on they are put together, forty of these at a time.
    assert.equal(splitter.update(source, false).length, count <= 300 ? count : 300 + Math.ceil((count - 300) / 40));
  }
});

test("link references are found wherever they stand", () => {
  assert.equal(definitions(ANSWER), "[ref]: https://example.org");
  assert.equal(definitions("no [reference] here"), "");
});

const FENCES = [
  "```python\nx = 1\n\n\ny = 2\n``\n ```\n\nAfter\n",
  "~~~\n``` \n~~\n[a]: b\n~~~ \nafter",
  "text\n\n````\n```\n# not a title\n```\n````\n\n```\nopen | to\n|---|\nthe end\n",
  "```js x`y\nno fence\n```\n",
];

for (const source of FENCES) {
  test(`code that is being written is read as if it were there at once: ${JSON.stringify(source)}`, () => {
    for (const size of [1, 2, 5]) {
      const splitter = new BlockSplitter();
      for (const part of growing(source, size)) {
        const fresh = new BlockSplitter();
        assert.deepEqual(splitter.update(part, false), fresh.update(part, false));
      }
    }
  });
}

test("thousands of small blocks are drawn in runs, which are the same while the text grows", () => {
  const source = "# a\n\n".repeat(5000) + "```js\nlet a\n```\n\n" + "b\n\n".repeat(5000) + "end";
  const whole = new BlockSplitter().update(source, true);
  assert.equal(whole.join(""), source);
  assert.ok(whole.length < 400);
  assert.ok(whole.some((block) => block.startsWith("```js\nlet a\n```")));
  const growing = new BlockSplitter();
  let settled: string[] = [];
  for (let at = 0; at < source.length; at += 3001) {
    const blocks = growing.update(source.slice(0, at), false);
    assert.deepEqual(blocks.slice(0, Math.max(0, settled.length - 3)), settled.slice(0, -3));
    settled = blocks;
  }
  assert.deepEqual(growing.update(source, true), whole);
});

test("a long block is told from others without being parsed", () => {
  assert.deepEqual(fenceOf("\n```py x\na\n\nb\n```\n\n"), { language: "py", code: "a\n\nb", closed: true });
  assert.deepEqual(fenceOf("~~~\na\n```\n"), { language: "", code: "a\n```", closed: false });
  assert.equal(fenceOf("```a``` is code\n"), null);
  assert.equal(fenceOf("- ```\n  a\n  ```\n"), null);
});

test("runs make up the whole code", () => {
  for (const count of [1, 100, 101, 250]) {
    const code = Array.from({ length: count }, (_, line) => `line ${line}`).join("\n");
    assert.equal(runsOf(code).join(""), code);
    assert.equal(runsOf(code).length, Math.ceil(count / 100));
  }
});
