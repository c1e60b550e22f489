/**
 * What was loaded lately, for when the server cannot be reached: the answers to a few requests, of one user only, in the
 * browser's IndexedDB, written anew from memory when what they told has changed since. It is read when there is no
 * connection and never otherwise. Signing out empties it, and so does the server's word that nobody is signed in (any more).
 */

import { whenIdle } from "./idle";

const DATABASE = "myna";
const STORE = "kept";
const TIME = "time";
const MOST_CHATS = 30;
/** Characters of one answer; what is larger is not kept. */
const LARGEST = 1_000_000;

interface Entry {
  path: string;
  user: string;
  at: number;
  text: string;
}

/** Chats, the first page of their list, and what is needed around them. */
const KEPT = /^\/api\/(?:chats\/[^/?]+|chats\?(?!.*before)[^#]*|projects|models|account\/preferences)$/;
const ONE_CHAT = /^\/api\/chats\/[^/?]+$/;
const SESSION = "/api/session";
/** Chats of which nothing is kept. */
const passing = new Set<string>();
/** What is to be written anew when the page has time, by address: what makes it then. */
const owed = new Map<string, () => unknown>();

let user: string | null = null;
/** What was another's is gone. */
let begun: Promise<unknown> = Promise.resolve();
/** The person is gone: what still arrives at the closing page is not kept. */
let sealed = false;

export function chatPath(id: string): string {
  return `/api/chats/${encodeURIComponent(id)}`;
}

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, { keyPath: "path" }).createIndex(TIME, "at");
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
}

let database: Promise<IDBDatabase> | null = null;

/** Runs `work` in a transaction and waits until it is on disk; null where the browser keeps nothing. */
async function within<T>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest<T>): Promise<T | null> {
  try {
    const transaction = (await (database ??= open())).transaction(STORE, mode);
    const request = work(transaction.objectStore(STORE));
    await new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = transaction.onerror = () => reject(transaction.error);
    });
    return request.result;
  } catch {
    // Blocked or full: then there is nothing to show without a connection.
    return null;
  }
}

function put(path: string, text: string): void {
  if (user === null || sealed || text.length > LARGEST) return;
  const entry: Entry = { path, user, at: Date.now(), text };
  void begun
    // Asked for by somebody who has gone meanwhile: nothing of theirs is kept.
    .then(() => (entry.user === user && !sealed ? within("readwrite", (store) => store.put(entry)) : null))
    .then(() => {
      if (ONE_CHAT.test(path)) void bound();
    });
}

function settle(): void {
  const due = [...owed];
  owed.clear();
  for (const [path, make] of due) {
    const value = make();
    if (value !== null) put(path, JSON.stringify(value));
  }
}

/** The chats that were opened longest ago make room. Of what is kept only the addresses are read: it is large. */
async function bound(): Promise<void> {
  const paths = (await within("readonly", (store) => store.index(TIME).getAllKeys())) ?? [];
  const chats = paths.filter((path) => ONE_CHAT.test(String(path)));
  for (const path of chats.slice(0, -MOST_CHATS)) await within("readwrite", (store) => store.delete(path));
}

async function clearOfOthers(id: string): Promise<void> {
  const before = (await within("readonly", (store) => store.get(SESSION))) as Entry | null | undefined;
  if (before && before.user !== id) await within("readwrite", (store) => store.clear());
}

async function get<T>(path: string): Promise<T | null> {
  const entry = (await within("readonly", (store) => store.get(path))) as Entry | null | undefined;
  if (!entry || sealed || (user !== null && entry.user !== user)) return null;
  kept.used = true;
  return JSON.parse(entry.text) as T;
}

export const kept = {
  /** Whether something of it is shown: it may have changed on the server since. */
  used: false,

  /** Whether an answer to this may be kept. */
  takes: (method: string, path: string): boolean => method === "GET" && KEPT.test(path) && !passing.has(path),

  /** Keeps nothing of a temporary chat. */
  spare(chatId: string): void {
    passing.add(chatPath(chatId));
  },

  put,
  get,

  /**
   * The page knows better than what is kept as the answer to GET `path`: that is written anew, as `make` has it when the
   * page has nothing else to do; null: it stays as it is. However often this is asked for until then, it is done once.
   */
  renew(path: string, make: () => unknown): void {
    if (user === null || sealed || !kept.takes("GET", path)) return;
    if (owed.size === 0) whenIdle(settle);
    owed.set(path, make);
  },

  /** The session with which the page last began, if nobody has signed out since. */
  session: <T>(): Promise<T | null> => get<T>(SESSION),

  /** Whose answers are kept from now on. What was another's goes, before anything is kept; nobody has to wait for it. */
  begin(id: string, session: unknown): void {
    user = id;
    begun = clearOfOthers(id);
    put(SESSION, JSON.stringify(session));
  },

  /** A chat is gone on the server, so here too. */
  drop(chatId: string): void {
    const path = chatPath(chatId);
    owed.delete(path);
    void begun.then(() => within("readwrite", (store) => store.delete(path)));
  },

  /** Nobody is signed in: nothing of anybody stays, nor comes from what was asked for before. */
  async clear(): Promise<void> {
    user = null;
    owed.clear();
    await within("readwrite", (store) => store.clear());
  },

  /** The same, for good: this page keeps nothing more. */
  async forget(): Promise<void> {
    sealed = true;
    await kept.clear();
  },
};
