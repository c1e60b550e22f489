import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError, explain } from "../src/lib/api";
import { formatAgo } from "../src/lib/format";
import { directionOf, localeOf } from "../src/lib/language";
import { plural } from "../src/lib/plural";
import { strings } from "../src/lib/strings";

test("numbers and dates follow the browser's country where it speaks the page's language", () => {
  assert.equal(localeOf("de", ["fr-CH", "de-CH", "de-DE"]), "de-CH");
  assert.equal(localeOf("de", ["en-GB"]), "de");
  assert.equal(localeOf("zh", ["zh-TW", "zh-SG"]), "zh-SG");
  assert.equal(localeOf("zh", ["zh-TW"]), "zh");
});

test("an Arabic page is read from right to left and has one kind of digits", () => {
  assert.equal(directionOf("ar"), "rtl");
  assert.equal(directionOf("zh"), "ltr");
  assert.equal(new Intl.NumberFormat(localeOf("ar", ["ar-EG"])).format(12), "12");
});

test("words follow their number", () => {
  const tokens = (count: number) => plural(count, { one: "# token", other: "# tokens" });
  assert.deepEqual([0, 1, 2, 12_345].map(tokens), ["0 tokens", "1 token", "2 tokens", "12,345 tokens"]);
});

test("how long ago something was is said in its largest whole unit", () => {
  const now = Date.UTC(2026, 10, 23, 12);
  const ago = (milliseconds: number) => formatAgo(now - milliseconds, now);
  assert.equal(ago(5_000), "now");
  assert.equal(ago(5 * 60_000 + 59_000), "5 minutes ago");
  assert.equal(ago(86_400_000), "yesterday");
  assert.equal(ago(-2 * 3_600_000), "in 2 hours");
});

test("an error that is known by its code is told in the page's language, with the server's values", () => {
  const quota = new ApiError(429, "insufficient_quota", "12000 of 10000 tokens are used.");
  const wrong = new ApiError(401, "wrong_password", "Name and password do not belong together.");
  Object.assign(strings, { codes: {} });
  assert.equal(explain(quota), "12000 of 10000 tokens are used.");
  Object.assign(strings, { codes: { insufficient_quota: "Aufgebraucht.", wrong_password: "Falsch." } });
  assert.equal(explain(quota), "Aufgebraucht. (\u206612000 of 10000 tokens are used.\u2069)");
  assert.equal(explain(wrong), "Falsch.");
  assert.equal(explain({ code: "wrong_password", message: "…" }), "Falsch.");
  assert.equal(explain(new ApiError(418, "teapot", "Short and stout.")), "Short and stout.");
});
