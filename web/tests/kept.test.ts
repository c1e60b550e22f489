import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { chatPath, kept } from "../src/lib/kept";
import { storeInMemory } from "./storeInMemory";

const CHAT = chatPath("one");
const rows = new Map<string, { path: string; at: number; text: string }>();
let full = false;
/** What waits until the page has nothing else to do. */
let idle: (() => void)[] = [];

Object.assign(globalThis, {
  indexedDB: storeInMemory(rows, () => full),
  window: { requestIdleCallback: (work: () => void) => idle.push(work) },
});

/** The page has nothing else to do, and the browser has written what it was given. */
async function settled(): Promise<void> {
  for (const work of idle.splice(0)) work();
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

beforeEach(async () => {
  await kept.clear();
  full = false;
  idle = [];
  kept.begin("anna", { user: "anna" });
  await settled();
});

test("what is known now takes the place of what was loaded, once for all that happened meanwhile", async () => {
  kept.put(CHAT, '"loaded"');
  let made = 0;
  for (const text of ["first", "second"]) kept.renew(CHAT, () => ((made += 1), text));
  assert.equal(made, 0, "nothing is made while the page is busy");
  await settled();
  assert.equal(await kept.get(CHAT), "second");
  assert.equal(made, 1);
  kept.renew(CHAT, () => null);
  await settled();
  assert.equal(await kept.get(CHAT), "second");
});

test("who has signed out leaves nothing that was still to be written", async () => {
  kept.renew(CHAT, () => "secret");
  await kept.clear();
  await settled();
  kept.renew(CHAT, () => "secret");
  await settled();
  assert.deepEqual([...rows], []);
});

test("what waits for somebody's chat is not written as the next person's", async () => {
  kept.renew(CHAT, () => "secret");
  await kept.clear();
  kept.begin("bruno", { user: "bruno" });
  await settled();
  assert.deepEqual([...rows.keys()], ["/api/session"]);
});

test("a temporary chat, a deleted one and what is no such answer are not kept", async () => {
  kept.spare("passing");
  kept.renew(chatPath("passing"), () => "secret");
  kept.renew("/api/users", () => "secret");
  kept.renew(CHAT, () => "deleted");
  kept.drop("one");
  await settled();
  assert.deepEqual([...rows.keys()], ["/api/session"]);
});

test("no more chats are kept than were before", async () => {
  for (let count = 0; count < 40; count += 1) {
    kept.renew(chatPath(`chat-${count}`), () => "text");
    await settled();
  }
  assert.equal([...rows.keys()].filter((path) => path.startsWith("/api/chats/")).length, 30);
});

test("a full browser keeps what it has, and breaks nothing", async () => {
  kept.put(CHAT, '"before"');
  await settled();
  full = true;
  kept.renew(CHAT, () => "after");
  await settled();
  assert.equal(await kept.get(CHAT), "before");
});

// The last one: nothing is kept after it.
test("a page that has signed out for good keeps nothing more", async () => {
  kept.renew(CHAT, () => "secret");
  await kept.forget();
  kept.begin("anna", { user: "anna" });
  kept.renew(CHAT, () => "secret");
  await settled();
  assert.deepEqual([...rows], []);
});
