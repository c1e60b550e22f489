/** Where on a branch the model stopped seeing what was said before. Pure. */

import type { Usage } from "./types";

interface ContextMark {
  at: "beginning" | "cut";
  /** What the model's context holds. */
  tokens: number;
}

/**
 * Marks by the message they stand above: where the latest answer's prompt began, and every answer with which that
 * moved.
 */
export function contextMarks(path: readonly { id: string; usage: Usage | null }[]): Map<string, ContextMark> {
  const marks = new Map<string, ContextMark>();
  let before: string | null = null;
  let latest: Usage | null = null;
  for (const { id, usage } of path) {
    if (!usage?.context_tokens) continue;
    const from = usage.context_from ?? null;
    if (from !== null && from !== before) marks.set(id, { at: "cut", tokens: usage.context_tokens });
    before = from;
    latest = usage;
  }
  if (latest?.context_from) marks.set(latest.context_from, { at: "beginning", tokens: latest.context_tokens ?? 0 });
  return marks;
}
