/**
 * What is to be sent leaves only when the server has it. Each entry carries ids made here, so it can be sent again
 * after a lost answer, and from another tab or after a reload, without happening twice.
 */

import { api, ApiError, NetworkError } from "./api";
import { unsent } from "./storage";
import type { NewMessage, NewRun, Started } from "./types";

export type OutgoingMessage = {
  chatId: string;
  createdAt: number;
  kind: "message";
  body: NewMessage;
  /** Sent before its chat was here: what it follows, and which model it goes to, are known when that is. */
  early?: true;
};

export type Outgoing = OutgoingMessage | { chatId: string; createdAt: number; kind: "run"; body: NewRun };

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 8000;

const sleepers = new Set<() => void>();

export function runIdOf(entry: Outgoing): string {
  return entry.kind === "message" ? entry.body.run.id : entry.body.id;
}

/** Entries that an earlier page left behind, oldest first. */
export function waiting(): Outgoing[] {
  const entries: Outgoing[] = [];
  for (const run of unsent.all()) {
    const value = unsent.read(run);
    if (value !== null) entries.push(JSON.parse(value) as Outgoing);
  }
  return entries.sort((a, b) => a.createdAt - b.createdAt);
}

/** Has an entry survive this page. */
export function keep(entry: Outgoing): void {
  unsent.write(runIdOf(entry), JSON.stringify(entry));
}

/** An entry has arrived, or is the caller's to keep. */
export function release(entry: Outgoing): void {
  unsent.write(runIdOf(entry), null);
}

/**
 * Sends what is kept until the server takes or refuses it. `delayed` is told when an attempt had no answer, or only that
 * the server can store nothing for now.
 * Throws ApiError when the server refuses; the entry is then forgotten, and its text is the caller's to keep.
 */
export async function deliver(entry: Outgoing, delayed: () => void): Promise<Started> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      const started = await post(entry);
      release(entry);
      return started;
    } catch (error) {
      if (!passes(error)) {
        release(entry);
        throw error;
      }
      delayed();
      await pause(attempt);
    }
  }
}

/** The server is back: whatever waits is tried now. */
export function retryWaiting(): void {
  for (const resume of [...sleepers]) resume();
}

/** No answer, or one that says to ask again: the server cannot store anything for now. */
function passes(error: unknown): boolean {
  return error instanceof NetworkError || (error instanceof ApiError && error.code === "store_unavailable");
}

function post(entry: Outgoing): Promise<Started> {
  return entry.kind === "message" ? api.postMessage(entry.chatId, entry.body) : api.postRun(entry.chatId, entry.body);
}

/** Until the server is back, or some seconds that grow with the attempts (from 0) that had no answer. */
export function pause(attempt: number): Promise<void> {
  const milliseconds = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** attempt);
  return new Promise((resolve) => {
    const resume = (): void => {
      sleepers.delete(resume);
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(resume, milliseconds);
    sleepers.add(resume);
  });
}
