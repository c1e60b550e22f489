/** Limits as they are typed: a whole number, or nothing for what holds otherwise. */

import { LIMITS, type Limits } from "./admin";

export function isLimit(text: string): boolean {
  return /^\d{0,15}$/.test(text.trim());
}

export function writeLimits(limits: Limits<number | null>): Limits<string> {
  return Object.fromEntries(LIMITS.map((name) => [name, limits[name] === null ? "" : String(limits[name])])) as Limits<string>;
}

/** Null where one of them is no limit. */
export function readLimits(values: Limits<string>): Limits<number | null> | null {
  if (!LIMITS.every((name) => isLimit(values[name]))) return null;
  const read = (text: string) => (text.trim() === "" ? null : Number(text));
  return Object.fromEntries(LIMITS.map((name) => [name, read(values[name])])) as Limits<number | null>;
}
