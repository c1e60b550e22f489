import assert from "node:assert/strict";
import { test } from "node:test";
import { contextMarks } from "../src/lib/context";
import type { Usage } from "../src/lib/types";

function answer(id: string, from: string | null): { id: string; usage: Usage } {
  return { id, usage: { context_from: from, context_tokens: 8192 } as Usage };
}

function marks(...path: Parameters<typeof contextMarks>[0]): string {
  return [...contextMarks(path)].map(([id, { at }]) => `${id} ${at}`).join(", ");
}

test("marks stand where the model's view begins and where that moved", () => {
  const question = (id: string) => ({ id, usage: null });
  assert.equal(marks(question("q1"), answer("a1", null)), "");
  assert.equal(marks(question("q1"), answer("a1", null), question("q2"), answer("a2", "q2")), "a2 cut, q2 beginning");
  const long = [question("q1"), answer("a1", "q1"), question("q2"), answer("a2", "q1"), question("q3"), answer("a3", "q3")];
  assert.equal(marks(...long), "a1 cut, a3 cut, q3 beginning");
  assert.equal(marks(...long, question("q4"), answer("a4", null)), "a1 cut, a3 cut");
  assert.equal(marks(), "");
});
