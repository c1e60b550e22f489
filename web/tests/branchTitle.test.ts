import assert from "node:assert/strict";
import { test } from "node:test";
import { branchTitle } from "../src/lib/branchTitle";

const mark = (title: string): string => `Branch · ${title}`;

test("a branch is marked once, and fits", () => {
  assert.equal(branchTitle("Boiling potatoes (1)", mark), "Branch · Boiling potatoes (1)");
  assert.equal(branchTitle("Branch · Boiling potatoes (3)", mark), "Branch · Boiling potatoes");
  const long = branchTitle("🐦".repeat(200), mark);
  assert.equal([...long].length, 200);
  assert.ok(long.endsWith("🐦"));
});
