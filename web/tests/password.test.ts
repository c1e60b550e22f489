import assert from "node:assert/strict";
import { test } from "node:test";
import { strengthOf } from "../src/lib/password";

test("what is too short is called so, counted in characters", () => {
  assert.equal(strengthOf(""), "short");
  assert.equal(strengthOf("G7#kq!x2Z"), "short");
  assert.equal(strengthOf("🦜🦜🦜🦜🦜"), "short");
});

test("what everybody tries is weak, however long", () => {
  for (const password of ["1234567890", "aaaaaaaaaaaaaaaaaaaa", "abcdefghijklmnop", "Password123", "qwertyuiop!", "passwordpassword"]) {
    assert.equal(strengthOf(password), "weak", password);
  }
});

test("one's own name does not make it stronger", () => {
  assert.notEqual(strengthOf("annalindgren7x"), "weak");
  assert.equal(strengthOf("annalindgren7x", "Anna Lindgren"), "weak");
});

test("length and variety do", () => {
  assert.equal(strengthOf("kolibri-gelb"), "fair");
  assert.equal(strengthOf("vier gelbe Schnäbel im Regen"), "good");
  assert.equal(strengthOf("G7#kq!x2Zp&w"), "good");
});
