import assert from "node:assert/strict";
import { test } from "node:test";
import { Listing } from "../src/lib/state/listing.svelte";

interface Load {
  answer(items: string[]): void;
  fail(): void;
}

/** A list that is being loaded a second time, and what ends the two loads. */
function setUp() {
  const asked: Load[] = [];
  const listing = new Listing<string>(
    () => new Promise((answer, reject) => asked.push({ answer, fail: () => reject(new Error("no answer")) })),
  );
  void listing.load();
  const [first, second] = asked;
  return { listing, first: first!, second: second! };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test("what was asked for last is shown, whichever answer comes last", async () => {
  const { listing, first, second } = setUp();
  second.answer(["kept"]);
  first.answer(["removed meanwhile", "kept"]);
  await settled();
  assert.deepEqual(listing.items, ["kept"]);
});

test("a load that fails says nothing of a later one that went well", async () => {
  const { listing, first, second } = setUp();
  second.answer(["here"]);
  first.fail();
  await settled();
  assert.deepEqual(listing.items, ["here"]);
  assert.equal(listing.error, null);
});

test("until the latest answer is here, an earlier one is not shown for it", async () => {
  const { listing, first, second } = setUp();
  first.answer(["removed meanwhile"]);
  await settled();
  assert.equal(listing.items, null);
  second.answer([]);
  await settled();
  assert.deepEqual(listing.items, []);
});
