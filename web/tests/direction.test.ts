import assert from "node:assert/strict";
import { test } from "node:test";
import { textDirection } from "../src/lib/direction";

test("the first letter says which way a text reads", () => {
  assert.equal(textDirection("12 > hello مرحبا"), "ltr");
  assert.equal(textDirection("12 > مرحبا hello"), "rtl");
  assert.equal(textDirection("שלום"), "rtl");
  assert.equal(textDirection("你好"), "ltr");
  assert.equal(textDirection("123 …"), "ltr");
  assert.equal(textDirection(""), "ltr");
});
