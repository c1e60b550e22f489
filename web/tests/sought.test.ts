import assert from "node:assert/strict";
import { test } from "node:test";
import { patternOf, placesOf } from "../src/lib/sought";

/** The pieces of a text that a query marks. */
function marked(query: string, text: string): string[] {
  const pattern = patternOf(query);
  return pattern === null ? [] : placesOf(text, pattern).map(([begin, end]) => text.slice(begin, end));
}

test("words are marked as they are found: whole, or as beginnings", () => {
  assert.deepEqual(marked("in the danube", "Inside THE Danubes, in Danube."), ["THE", "Danube", "in", "Danube"]);
  assert.deepEqual(marked("dan", "Danube or dance, not Sudan"), ["Dan", "dan"]);
  assert.deepEqual(marked("a", "a cat"), ["a"]);
  assert.deepEqual(marked("  ?! ", "what?!"), []);
  assert.deepEqual(marked("c++ (x", "c++ (x)"), ["c", "x"]);
});

test("a phrase is marked as one, and only as it stands", () => {
  assert.deepEqual(marked('"the end"', "the end, the, end; The — END of the ending"), ["the end", "the, end", "The — END"]);
});

test("case, accents and width do not count, and the marks stand at the letters as written", () => {
  assert.deepEqual(marked("cafe strasse", "🐦 CAFE\u0301, Straße"), ["CAFE\u0301", "Straße"]);
  assert.deepEqual(marked("école", "L’ÉCOLE ＥＣＯＬＥ"), ["ÉCOLE", "ＥＣＯＬＥ"]);
});

test("in writing without spaces a word is marked wherever it stands", () => {
  assert.deepEqual(marked("学习", "机器学习学习"), ["学习", "学习"]);
  assert.deepEqual(marked("東京", "東京タワーは東京に"), ["東京", "東京"]);
});
