import assert from "node:assert/strict";
import { test } from "node:test";
import { batches, farthest } from "../src/lib/state/texts";
import { guess, offsetsOf, rowAt, rowsBetween, rowsOf, type Row } from "../src/lib/windowing";

const GAP = 10;
const heights = [100, 20, 300, 50, 50];
const offsets = offsetsOf(heights, GAP);

function shown(rows: Row[]): string {
  return rows.map((row) => (row.kind === "row" ? String(row.index) : `(${row.height})`)).join(" ");
}

function height(rows: Row[]): number {
  const all = rows.map((row) => (row.kind === "row" ? heights[row.index]! : row.height));
  return all.reduce((sum, each) => sum + each, 0) + GAP * (all.length - 1);
}

test("rows are found by where they begin", () => {
  assert.deepEqual(offsets, [0, 110, 140, 450, 510, 570]);
  assert.deepEqual([-5, 0, 109, 110, 449, 450, 9999].map((top) => rowAt(offsets, top)), [0, 0, 0, 1, 2, 3, 4]);
  assert.deepEqual(rowsBetween(offsets, 120, 460), { first: 1, last: 4 });
  assert.deepEqual(rowsBetween([0], 0, 100), { first: 0, last: 0 });
});

test("whatever is drawn, the whole is as high as all rows are", () => {
  const whole = height(rowsOf(offsets, { first: 0, last: 5 }, [], GAP));
  assert.equal(whole, 560);
  for (const range of [{ first: 2, last: 3 }, { first: 0, last: 1 }, { first: 4, last: 5 }, { first: 1, last: 3 }]) {
    for (const stay of [[], [0], [4], [2, 99, -1]]) assert.equal(height(rowsOf(offsets, range, stay, GAP)), whole);
  }
});

test("spaces stand for what is not drawn, also around a row that must stay", () => {
  assert.equal(shown(rowsOf(offsets, { first: 2, last: 4 }, [], GAP)), "(130) 2 3 (50)");
  assert.equal(shown(rowsOf(offsets, { first: 4, last: 9 }, [1], GAP)), "(100) 1 (360) 4");
  assert.equal(shown(rowsOf([0], { first: 0, last: 0 }, [], GAP)), "");
});

test("a longer text is guessed to be higher, a folded one no more", () => {
  assert.ok(guess(20_000, "assistant", 700) > guess(10_000, "assistant", 700));
  assert.ok(guess(10_000, "assistant", 350) > guess(10_000, "assistant", 700));
  assert.equal(guess(1_000_000, "user", 700), guess(2_000, "user", 700));
});

function sized(...sizes: number[]): { id: string; size: number; loaded: boolean }[] {
  return sizes.map((size, index) => ({ id: String(index), size, loaded: true }));
}

test("texts are fetched some at a time, and a huge one by itself", () => {
  const sizes = batches(sized(100_000, 400_000, 100_000, 9_000_000, 1)).map((batch) => batch.map(({ size }) => size));
  assert.deepEqual(sizes, [[100_000, 400_000], [100_000], [9_000_000], [1]]);
  assert.deepEqual(batches(sized(...Array<number>(120).fill(1))).map(({ length }) => length), [50, 50, 20]);
  assert.deepEqual(batches([]), []);
});

test("the farthest texts are forgotten, and only as many as need be", () => {
  const mega = 1024 * 1024;
  const path = sized(...Array<number>(10).fill(mega));
  assert.deepEqual(farthest(path, 8).map(({ id }) => id), ["0", "1", "2", "3"]);
  assert.deepEqual(farthest(path, 1).map(({ id }) => id), ["9", "8", "7", "6"]);
  path[0]!.loaded = false;
  assert.deepEqual(farthest(path, 8).map(({ id }) => id), ["1", "2", "3"]);
  assert.deepEqual(farthest(sized(mega, mega), 0), []);
});
