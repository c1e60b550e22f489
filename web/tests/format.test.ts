import assert from "node:assert/strict";
import { test } from "node:test";
import { formatBytes, formatContext, formatParameters, periodOf } from "../src/lib/format";

test("sizes are short and never switch unit too late", () => {
  assert.deepEqual([0, 999, 1000, 98_362_432, 999_600_000, 1_060_000_000, 123e9].map(formatBytes), [
    "0 bytes",
    "999 bytes",
    "1 kB",
    "98 MB",
    "1.0 GB",
    "1.1 GB",
    "123 GB",
  ]);
  assert.equal(formatParameters(134_515_008), "135 M");
  assert.equal(formatParameters(1_711_000_000), "1.7 B");
  assert.equal(formatContext(32_768), "32K");
});

test("chats are grouped by calendar days, not by hours", () => {
  const now = new Date(2026, 5, 15, 0, 30).getTime();
  const at = (month: number, day: number, hour = 12): number => new Date(2026, month, day, hour).getTime();
  assert.equal(periodOf(at(5, 15, 0), now), "today");
  assert.equal(periodOf(at(5, 14, 23), now), "yesterday");
  assert.equal(periodOf(at(5, 13), now), "week");
  assert.equal(periodOf(at(5, 8, 0), now), "week");
  assert.equal(periodOf(at(5, 7), now), "month");
  assert.equal(periodOf(at(4, 16), now), "month");
  assert.equal(typeof periodOf(at(4, 15), now), "object");
  assert.equal(periodOf(at(5, 16), now), "today");
});
