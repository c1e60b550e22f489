import assert from "node:assert/strict";
import { test } from "node:test";
import { fit } from "../src/lib/fuzzy";

const best = (query: string, texts: string[]) =>
  texts.filter((text) => fit(text, query) > 0).sort((a, b) => fit(b, query) - fit(a, query));

test("beginnings come before middles, and those before letters in order", () => {
  assert.deepEqual(best("mod", ["My old day", "Choose a model", "Model list", "Commodity"]), ["Model list", "Choose a model", "Commodity", "My old day"]);
});

test("case and accents do not matter, nor does the order of words", () => {
  assert.ok(fit("Résumé of the year", "RESUME") > 0);
  assert.ok(fit("Copy the last answer", "answer copy") > 0);
  assert.equal(fit("Copy the last answer", "answer delete"), 0);
});

test("writing without spaces is found in the middle", () => {
  assert.ok(fit("复制最后的回答", "回答") > 0);
  assert.equal(fit("复制最后的回答", "模型"), 0);
});

test("a single letter is not taken for the letters of half the list", () => {
  assert.equal(fit("Choose a model", "x"), 0);
});
