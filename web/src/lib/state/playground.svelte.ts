/** The playground: a text, what models make of it, and the way back. */

import { api, explain } from "../api";
import { drafts } from "../storage";
import type { ScoredToken } from "../tokens";
import type { Parameters } from "../types";

const TEXT = "playground";
const SETTINGS = "playground.settings";
const SAVE_AFTER_MS = 300;
const MOST_STEPS = 100;

/** One line of the answer to POST /api/playground. */
export type PlaygroundLine = { index: number } & (
  | { started: { prompt_tokens: number; seed: number } }
  | { text: string; tokens: ScoredToken[] }
  | { end: { reason: string; tokens: number; decode_seconds: number } }
  | { error: { code: string; message: string } }
);

export class Continuation {
  text = $state("");
  tokens = $state.raw<ScoredToken[]>([]);
  seed = $state<number | null>(null);
  /** Why it ended; null while it is being written. */
  reason = $state<string | null>(null);
  error = $state<string | null>(null);
}

interface PlaygroundSettings {
  model: string;
  count: number;
  parameters: Parameters | null;
}

class Playground {
  text = $state(drafts.read(TEXT));
  settings = $state.raw<PlaygroundSettings>(this.#readSettings());
  /** What the last run was given, and what became of it. */
  prompt = $state("");
  continuations = $state.raw<Continuation[]>([]);
  running = $state(false);
  error = $state<string | null>(null);
  #past = $state.raw<string[]>([]);
  #future = $state.raw<string[]>([]);
  #stopping: AbortController | null = null;
  #timer: number | undefined;

  get undoable(): boolean {
    return this.#past.length > 0;
  }

  get redoable(): boolean {
    return this.#future.length > 0;
  }

  /** Keeps what was typed, a moment after the last key. */
  typed(): void {
    window.clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => this.save(), SAVE_AFTER_MS);
  }

  save(): void {
    window.clearTimeout(this.#timer);
    // What is being written belongs to it: a reload must not lose it.
    const writing = this.running && this.continuations.length === 1 ? (this.continuations[0]?.text ?? "") : "";
    drafts.write(TEXT, this.running ? this.prompt + writing : this.text);
  }

  choose(settings: PlaygroundSettings): void {
    this.settings = settings;
    drafts.write(SETTINGS, JSON.stringify(settings));
  }

  /** Replaces the text; what it was comes back with undo. */
  replace(text: string): void {
    if (text === this.text) return;
    this.#past = [...this.#past, this.text].slice(-MOST_STEPS);
    this.#future = [];
    this.text = text;
    this.save();
  }

  undo(): void {
    const before = this.#past.at(-1);
    if (before === undefined) return;
    this.#past = this.#past.slice(0, -1);
    this.#future = [...this.#future, this.text];
    this.text = before;
    this.save();
  }

  redo(): void {
    const next = this.#future.at(-1);
    if (next === undefined) return;
    this.#future = this.#future.slice(0, -1);
    this.#past = [...this.#past, this.text];
    this.text = next;
    this.save();
  }

  async run(model: string): Promise<void> {
    if (this.running || this.text === "") return;
    const { count, parameters } = this.settings;
    const made = Array.from({ length: count }, () => new Continuation());
    const stopping = new AbortController();
    this.#stopping = stopping;
    this.prompt = this.text;
    this.continuations = made;
    this.running = true;
    this.error = null;
    try {
      const body = { text: this.prompt, model, count, ...(parameters === null ? {} : { parameters }) };
      for await (const line of api.playground(body, stopping.signal)) {
        const continuation = made[line.index];
        if (continuation) this.#take(continuation, line);
      }
    } catch (error) {
      if (!stopping.signal.aborted) this.error = explain(error);
    }
    for (const continuation of made) continuation.reason ??= stopping.signal.aborted ? "cancelled" : "lost";
    this.running = false;
    // A single one is part of the text; of several one is taken.
    if (count === 1) this.take(made[0]!);
  }

  stop(): void {
    this.#stopping?.abort();
  }

  take(continuation: Continuation): void {
    this.replace(this.prompt + continuation.text);
    this.save();
  }

  #take(continuation: Continuation, line: PlaygroundLine): void {
    if ("started" in line) continuation.seed = line.started.seed;
    else if ("text" in line) {
      continuation.text += line.text;
      continuation.tokens = [...continuation.tokens, ...line.tokens];
      this.typed();
    } else if ("end" in line) continuation.reason = line.end.reason;
    else continuation.error = explain(line.error);
  }

  #readSettings(): PlaygroundSettings {
    const kept = drafts.read(SETTINGS);
    return kept === "" ? { model: "", count: 1, parameters: null } : (JSON.parse(kept) as PlaygroundSettings);
  }
}

export const playground = new Playground();
