/**
 * The tab's one WebSocket. It follows runs from the last event seen and the lists from a cursor, so that after any
 * interruption it asks for exactly what it missed: nothing is lost and nothing is delivered twice.
 */

import type { Change, ClientFrame, Failure, Message, RunEvent, ServerFrame } from "./types";

export type ConnectionState = "connecting" | "open" | "lost";

export interface Listener {
  /** The next event of a followed run; called once for each, in order. */
  event(run: string, event: RunEvent): void;
  /** Everything there is of a followed run so far: replaces what was known of its message. */
  snapshot(run: string, message: Message): void;
  /** A followed run is unknown to the server. */
  unknown(run: string, error: Failure): void;
  change(change: Change): void;
  /** What changes in a temporary chat is told from now on: it has to be fetched. */
  held(chat: string): void;
  /** Too much was missed: fetch the lists anew. */
  reset(): void;
  state(state: ConnectionState): void;
}

/** What the stream needs from the world; tests bring their own. */
export interface World {
  open(): WebSocket;
  setTimeout(callback: () => void, milliseconds: number): number;
  clearTimeout(timer: number): void;
  random(): number;
}

/** WebSocket.OPEN, by value: the unit tests run where there is no WebSocket. */
const OPEN = 1;
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 8_000;
const PING_EVERY_MS = 20_000;
const PONG_WITHIN_MS = 10_000;

export class EventStream {
  #socket: WebSocket | null = null;
  #seen = new Map<string, number>();
  #held: string | null = null;
  #cursor: number | null = null;
  #failures = 0;
  #retry: number | null = null;
  #heartbeat: number | null = null;

  constructor(
    private readonly listener: Listener,
    private readonly world: World,
  ) {}

  connect(): void {
    if (this.#socket) return;
    this.#cancelRetry();
    const socket = this.world.open();
    this.#socket = socket;
    socket.onopen = () => this.#opened(socket);
    socket.onmessage = (message) => this.#received(socket, String(message.data));
    socket.onclose = () => this.#closed(socket);
    if (this.#failures === 0) this.listener.state("connecting");
  }

  /** Until it is told to connect again; what is followed stays so. */
  disconnect(): void {
    this.#cancelRetry();
    this.#stopBeating();
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  /** Tries at once instead of waiting for the next attempt: the network is back, or the tab is looked at again. */
  retryNow(): void {
    if (this.#retry !== null) this.connect();
  }

  /** Follows a run whose events up to `after` are known already. */
  follow(run: string, after: number): void {
    if (this.#seen.has(run)) return;
    this.#seen.set(run, after);
    this.#send({ type: "follow", run, after });
  }

  unfollow(run: string): void {
    if (this.#seen.delete(run)) this.#send({ type: "unfollow", run });
  }

  follows(run: string): boolean {
    return this.#seen.has(run);
  }

  /** Follows the lists, of which everything up to `cursor` is known. */
  followLists(cursor: number): void {
    this.#cursor = cursor;
    this.#send({ type: "lists", after: cursor });
  }

  /** Keeps a temporary chat, and hears of it; one at a time. */
  hold(chat: string): void {
    if (this.#held === chat) return;
    this.#held = chat;
    this.#send({ type: "hold", chat });
  }

  /** It is over, or will be: after the next interruption it is asked for no more. */
  release(): void {
    this.#held = null;
  }

  #opened(socket: WebSocket): void {
    if (socket !== this.#socket) return;
    this.#failures = 0;
    if (this.#cursor !== null) this.#send({ type: "lists", after: this.#cursor });
    // Before its runs, which are found by it.
    if (this.#held !== null) this.#send({ type: "hold", chat: this.#held });
    for (const [run, after] of this.#seen) this.#send({ type: "follow", run, after });
    this.#beat(socket);
    this.listener.state("open");
  }

  #closed(socket: WebSocket): void {
    if (socket !== this.#socket) return;
    this.#socket = null;
    this.#stopBeating();
    const ceiling = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#failures);
    this.#failures += 1;
    // Full jitter would let one tab of many wait for nothing; half keeps them apart and quick.
    const wait = ceiling * (0.5 + this.world.random() / 2);
    this.#retry = this.world.setTimeout(() => {
      this.#retry = null;
      this.connect();
    }, wait);
    this.listener.state("lost");
  }

  #received(socket: WebSocket, data: string): void {
    if (socket !== this.#socket) return;
    this.#beat(socket);
    const frame = JSON.parse(data) as ServerFrame;
    switch (frame.type) {
      case "event":
        return this.#event(frame.run, frame.seq, frame.event);
      case "snapshot":
        return this.#snapshot(frame.run, frame.seq, frame.message);
      case "change":
        return this.#change(frame.cursor, frame.change);
      case "held":
        return this.listener.held(frame.chat);
      case "reset":
        this.#cursor = frame.cursor;
        return this.listener.reset();
      case "error":
        if (frame.run !== null && this.#seen.delete(frame.run)) this.listener.unknown(frame.run, frame.error);
        return;
      case "pong":
        return;
    }
  }

  #event(run: string, seq: number, event: RunEvent): void {
    const seen = this.#seen.get(run);
    if (seen === undefined || seq <= seen) return;
    if (seq > seen + 1) {
      // A gap should be impossible; asking again is safe because what was seen is dropped.
      this.#send({ type: "follow", run, after: seen });
      return;
    }
    if (event.kind === "end") this.#seen.delete(run);
    else this.#seen.set(run, seq);
    this.listener.event(run, event);
  }

  #snapshot(run: string, seq: number, message: Message): void {
    const seen = this.#seen.get(run);
    if (seen === undefined) return;
    // The message may be running again already, by another run that continues it.
    if (message.status !== "running" || message.run_id !== run) this.#seen.delete(run);
    else if (seq >= seen) this.#seen.set(run, seq);
    else return;
    this.listener.snapshot(run, message);
  }

  #change(cursor: number | null, change: Change): void {
    // Progress of a download is not stored: it carries a cursor whose own change may still be on its way.
    if (change.kind !== "model" && cursor !== null) {
      if (this.#cursor !== null && cursor <= this.#cursor) return;
      this.#cursor = cursor;
    }
    this.listener.change(change);
  }

  #send(frame: ClientFrame): void {
    // Before the socket is open nothing needs sending: opening it sends all that is followed.
    if (this.#socket?.readyState === OPEN) this.#socket.send(JSON.stringify(frame));
  }

  /** Any frame is a sign of life; after a while without one, ask; without an answer, the connection is dead. */
  #beat(socket: WebSocket): void {
    this.#stopBeating();
    this.#heartbeat = this.world.setTimeout(() => {
      this.#send({ type: "ping" });
      this.#heartbeat = this.world.setTimeout(() => {
        socket.close();
        this.#closed(socket);
      }, PONG_WITHIN_MS);
    }, PING_EVERY_MS);
  }

  #stopBeating(): void {
    if (this.#heartbeat !== null) this.world.clearTimeout(this.#heartbeat);
    this.#heartbeat = null;
  }

  #cancelRetry(): void {
    if (this.#retry !== null) this.world.clearTimeout(this.#retry);
    this.#retry = null;
  }
}

export function browserWorld(): World {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  return {
    open: () => new WebSocket(`${scheme}//${location.host}/api/events`),
    setTimeout: (callback, milliseconds) => window.setTimeout(callback, milliseconds),
    clearTimeout: (timer) => window.clearTimeout(timer),
    random: Math.random,
  };
}
