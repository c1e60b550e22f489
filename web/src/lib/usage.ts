/** Sums of what was used, for charts and tables. */

import type { Counts, Used } from "./admin";

/** Tokens a second of answers; null where nothing was measured. */
export function speedOf(counts: Counts): number | null {
  return counts.timed_milliseconds > 0 ? (1000 * counts.timed_tokens) / counts.timed_milliseconds : null;
}

export function tokensOf(counts: Counts): number {
  return counts.prompt_tokens + counts.completion_tokens;
}

const NOTHING: Counts = { requests: 0, prompt_tokens: 0, completion_tokens: 0, timed_tokens: 0, timed_milliseconds: 0 };

export function sum(rows: readonly Counts[]): Counts {
  const total = { ...NOTHING };
  for (const row of rows) for (const name of Object.keys(NOTHING) as (keyof Counts)[]) total[name] += row[name];
  return total;
}

/** Sums by a name, those with the most tokens first. */
export function sumsBy<T extends Counts>(rows: readonly T[], nameOf: (row: T) => string): { name: string; counts: Counts }[] {
  const groups = new Map<string, T[]>();
  for (const row of rows) {
    const name = nameOf(row);
    const group = groups.get(name);
    if (group) group.push(row);
    else groups.set(name, [row]);
  }
  return [...groups]
    .map(([name, group]) => ({ name, counts: sum(group) }))
    .sort((a, b) => tokensOf(b.counts) - tokensOf(a.counts));
}

/** The last days up to today, as the server names them: `2026-11-23`, of UTC. */
export function lastDays(count: number, now: number = Date.now()): string[] {
  return Array.from({ length: count }, (_, index) => new Date(now - (count - 1 - index) * 86_400_000).toISOString().slice(0, 10));
}

/** What was used on each of these days, also where it was nothing. */
export function byDay(rows: readonly Used[], days: readonly string[]): Counts[] {
  const found = new Map(sumsBy(rows, (row) => row.day).map(({ name, counts }) => [name, counts]));
  return days.map((day) => found.get(day) ?? NOTHING);
}

/** Marks of an axis from 0 to at least `most`: round numbers, five at most. */
export function marks(most: number): number[] {
  if (!(most > 0)) return [0, 1];
  const rough = most / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((each) => each >= rough)!;
  return Array.from({ length: Math.ceil(most / step - 1e-9) + 1 }, (_, index) => index * step);
}
