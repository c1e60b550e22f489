import assert from "node:assert/strict";
import { test } from "node:test";
import { gate } from "../src/lib/gate";

test("all wait until somebody has signed in, and the page is told once", async () => {
  let told = 0;
  gate.whenClosed(() => (told += 1));
  const passed: string[] = [];
  const first = gate.wait().then(() => passed.push("first"));
  const second = gate.wait().then(() => passed.push("second"));
  await Promise.resolve();
  assert.equal(told, 1);
  assert.equal(gate.closed, true);
  assert.deepEqual(passed, []);
  gate.open();
  await Promise.all([first, second]);
  assert.deepEqual(passed, ["first", "second"]);
  assert.equal(gate.closed, false);
  const third = gate.wait();
  assert.equal(told, 2);
  gate.open();
  await third;
});
