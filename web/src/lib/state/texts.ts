/**
 * Which messages' texts are here. A long chat opens with the end of its branch; the other texts are fetched when they
 * come near, some at a time, and those far away are forgotten when there are too many.
 */

import type { ChatMessage } from "./message.svelte";

/** What one request asks for at most. */
const TOGETHER = { bytes: 512 * 1024, count: 50 };
/** What stays, roughly in bytes: some dozens of screens. */
const KEPT_BYTES = 6 * 1024 * 1024;

interface Sized {
  id: string;
  size: number;
}

/** Divides what is wanted into requests of bearable size, in order; a single one may be larger. */
export function batches<T extends Sized>(wanted: readonly T[]): T[][] {
  const all: T[][] = [];
  let bytes = 0;
  for (const each of wanted) {
    const last = all.at(-1);
    if (last && last.length < TOGETHER.count && bytes + each.size <= TOGETHER.bytes) {
      last.push(each);
      bytes += each.size;
    } else {
      all.push([each]);
      bytes = each.size;
    }
  }
  return all;
}

/** What may go of a branch: from its far ends towards `center`, until what stays is not too much. */
export function farthest<T extends Sized & { loaded: boolean }>(path: readonly T[], center: number): T[] {
  let kept = path.reduce((sum, each) => sum + (each.loaded ? each.size : 0), 0);
  const gone: T[] = [];
  let first = 0;
  let last = path.length - 1;
  while (kept > KEPT_BYTES && first <= last) {
    const each = path[center - first > last - center ? first++ : last--]!;
    if (!each.loaded) continue;
    gone.push(each);
    kept -= each.size;
  }
  return gone;
}

export class Texts {
  #asked = new Map<string, Promise<void>>();

  constructor(private readonly fetch: (ids: string[]) => Promise<void>) {}

  /** Fetches what is not here or may have changed. Throws what the fetch throws. */
  async ensure(messages: readonly ChatMessage[]): Promise<void> {
    const wanted = messages.filter((message) => !message.loaded || message.stale);
    for (const batch of batches(wanted.filter(({ id }) => !this.#asked.has(id)))) {
      const ids = batch.map(({ id }) => id);
      const fetching = this.fetch(ids).finally(() => ids.forEach((id) => this.#asked.delete(id)));
      // Whoever waits hears of a failure below; nobody else need.
      fetching.catch(() => undefined);
      for (const id of ids) this.#asked.set(id, fetching);
    }
    await Promise.all(wanted.map(({ id }) => this.#asked.get(id)));
  }
}
