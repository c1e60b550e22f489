import assert from "node:assert/strict";
import { test } from "node:test";
import { EventStream, type World } from "../src/lib/events";
import type { ClientFrame, Message, ServerFrame } from "../src/lib/types";

class FakeSocket {
  readyState = 0;
  sent: ClientFrame[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((message: { data: string }) => void) | null = null;
  onclose: (() => void) | null = null;

  send(data: string): void {
    this.sent.push(JSON.parse(data) as ClientFrame);
  }

  open(): void {
    this.readyState = 1;
    this.onopen?.();
  }

  close(): void {
    this.readyState = 3;
    this.onclose?.();
  }

  receive(frame: ServerFrame): void {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }

  text(run: string, seq: number, text: string): void {
    this.receive({ type: "event", run, seq, event: { kind: "text", text } });
  }
}

/** A stream whose sockets and timers the test drives, and what its listener heard. */
function setUp() {
  const sockets: FakeSocket[] = [];
  const timers = new Map<number, { callback: () => void; milliseconds: number }>();
  const heard: string[] = [];
  let last = 0;
  const world: World = {
    open() {
      const socket = new FakeSocket();
      sockets.push(socket);
      return socket as unknown as WebSocket;
    },
    setTimeout(callback, milliseconds) {
      timers.set(++last, { callback, milliseconds });
      return last;
    },
    clearTimeout: (timer) => void timers.delete(timer),
    random: () => 1,
  };
  const stream = new EventStream(
    {
      event: (run, event) => heard.push(`${run} ${event.kind === "text" ? event.text : event.kind}`),
      snapshot: (run, message) => heard.push(`${run} = ${message.parts[0]?.text}`),
      unknown: (run) => heard.push(`${run} unknown`),
      change: (change) => heard.push(`${change.kind} ${change.id}`),
      held: (chat) => heard.push(`${chat} held`),
      reset: () => heard.push("reset"),
      state: (state) => heard.push(`(${state})`),
    },
    world,
  );
  /** Lets the next timer go off; returns how long it would have taken. */
  const elapse = (): number => {
    const [[id, timer]] = [...timers].sort((a, b) => a[1].milliseconds - b[1].milliseconds) as [
      [number, { callback: () => void; milliseconds: number }],
    ];
    timers.delete(id);
    timer.callback();
    return timer.milliseconds;
  };
  const connect = (): FakeSocket => {
    if (sockets.length === 0) stream.connect();
    else elapse();
    const socket = sockets.at(-1)!;
    socket.open();
    return socket;
  };
  return { stream, sockets, timers, heard, elapse, connect };
}

function message(status: Message["status"], text: string, runId: string): Message {
  return {
    id: "m",
    chat_id: "c",
    parent_id: null,
    role: "assistant",
    parts: [{ type: "text", text }],
    status,
    model: null,
    created_at: 0,
    run_id: runId,
    usage: null,
    parameters: null,
    error: null,
    edited_at: null,
  };
}

test("after a lost connection it asks for exactly what it missed, and drops what comes twice", () => {
  const { stream, heard, connect } = setUp();
  const first = connect();
  stream.follow("r", 0);
  assert.deepEqual(first.sent, [{ type: "follow", run: "r", after: 0 }]);
  first.text("r", 1, "a");
  first.text("r", 2, "b");
  first.close();

  const second = connect();
  assert.deepEqual(second.sent, [{ type: "follow", run: "r", after: 2 }]);
  second.text("r", 2, "b");
  second.text("r", 3, "c");
  second.receive({ type: "event", run: "r", seq: 4, event: { kind: "end", status: "complete", usage: null, error: null } });
  assert.deepEqual(heard, ["(connecting)", "(open)", "r a", "r b", "(lost)", "(open)", "r c", "r end"]);
  assert.equal(stream.follows("r"), false);
});

test("a gap is asked for again instead of being shown", () => {
  const { stream, heard, connect } = setUp();
  const socket = connect();
  stream.follow("r", 3);
  socket.text("r", 5, "late");
  assert.deepEqual(socket.sent.at(-1), { type: "follow", run: "r", after: 3 });
  socket.text("r", 4, "x");
  socket.text("r", 5, "late");
  assert.deepEqual(heard.slice(2), ["r x", "r late"]);
});

test("a snapshot moves on, and one of a finished run ends the following", () => {
  const { stream, heard, connect } = setUp();
  const socket = connect();
  stream.follow("r", 0);
  socket.receive({ type: "snapshot", run: "r", seq: 7, message: message("running", "so far", "r") });
  socket.text("r", 7, "old");
  socket.text("r", 8, "new");
  socket.receive({ type: "snapshot", run: "r", seq: 9, message: message("complete", "all", "r") });
  socket.text("r", 10, "never");
  assert.deepEqual(heard.slice(2), ["r = so far", "r new", "r = all"]);
});

test("a finished run whose message another run continues is no longer followed", () => {
  const { stream, connect } = setUp();
  const socket = connect();
  stream.follow("r", 0);
  socket.receive({ type: "snapshot", run: "r", seq: 7, message: message("running", "so far", "other") });
  assert.equal(stream.follows("r"), false);
});

test("list changes go on from the last cursor, and progress does not move it", () => {
  const { stream, heard, connect } = setUp();
  stream.followLists(10);
  const first = connect();
  assert.deepEqual(first.sent, [{ type: "lists", after: 10 }]);
  first.receive({ type: "change", cursor: 11, change: { kind: "chat_deleted", id: "a", data: null } });
  first.receive({ type: "change", cursor: 20, change: { kind: "model", id: "m", data: {} as never } });
  first.close();
  const second = connect();
  assert.deepEqual(second.sent, [{ type: "lists", after: 11 }]);
  second.receive({ type: "change", cursor: 11, change: { kind: "chat_deleted", id: "a", data: null } });
  second.receive({ type: "change", cursor: 12, change: { kind: "chat_deleted", id: "b", data: null } });
  second.receive({ type: "reset", cursor: 40 });
  second.close();
  assert.deepEqual(connect().sent, [{ type: "lists", after: 40 }]);
  assert.deepEqual(
    heard.filter((line) => !line.startsWith("(")),
    ["chat_deleted a", "model m", "chat_deleted b", "reset"],
  );
});

test("a temporary chat is held again before its runs, and its changes are none of the lists'", () => {
  const { stream, heard, connect } = setUp();
  stream.followLists(10);
  const first = connect();
  stream.hold("t");
  stream.hold("t");
  stream.follow("r", 0);
  first.receive({ type: "held", chat: "t" });
  first.receive({ type: "change", cursor: null, change: { kind: "message_deleted", id: "m", data: null } });
  first.close();
  const second = connect();
  assert.deepEqual(
    second.sent.map((frame) => (frame as { type: string }).type),
    ["lists", "hold", "follow"],
  );
  assert.deepEqual(second.sent[0], { type: "lists", after: 10 });
  stream.release();
  second.close();
  assert.equal(connect().sent.some((frame) => (frame as { type: string }).type === "hold"), false);
  assert.deepEqual(
    heard.filter((line) => !line.startsWith("(")),
    ["t held", "message_deleted m"],
  );
});

test("retries wait longer and longer, up to a limit, and at once when asked", () => {
  const { stream, sockets, elapse } = setUp();
  stream.connect();
  const waits: number[] = [];
  for (let attempt = 0; attempt < 8; attempt += 1) {
    sockets.at(-1)!.close();
    waits.push(elapse());
  }
  assert.deepEqual(waits, [250, 500, 1000, 2000, 4000, 8000, 8000, 8000]);
  sockets.at(-1)!.close();
  const before = sockets.length;
  stream.retryNow();
  assert.equal(sockets.length, before + 1);
});

test("a silent connection is asked for a sign of life, and given up without one", () => {
  const { sockets, heard, elapse, connect } = setUp();
  const socket = connect();
  elapse();
  assert.deepEqual(socket.sent, [{ type: "ping" }]);
  socket.receive({ type: "pong" });
  elapse();
  elapse();
  assert.deepEqual(heard, ["(connecting)", "(open)", "(lost)"]);
  elapse();
  assert.equal(sockets.length, 2);
});

test("an unknown run is reported once and not asked for again", () => {
  const { stream, heard, connect } = setUp();
  const first = connect();
  stream.follow("r", 0);
  first.receive({ type: "error", run: "r", error: { code: "not_found", message: "" } });
  first.close();
  assert.deepEqual(connect().sent, []);
  assert.ok(heard.includes("r unknown"));
});

test("a stream that is told to disconnect stays so until it is told to connect, and then misses nothing", () => {
  const { stream, sockets, connect, timers } = setUp();
  const first = connect();
  stream.followLists(7);
  stream.follow("r", 3);
  stream.disconnect();
  assert.equal(first.readyState, 3);
  assert.equal(timers.size, 0);
  stream.retryNow();
  assert.equal(sockets.length, 1);
  stream.connect();
  sockets[1]!.open();
  assert.deepEqual(sockets[1]!.sent, [
    { type: "lists", after: 7 },
    { type: "follow", run: "r", after: 3 },
  ]);
});
