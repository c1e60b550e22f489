/** Text that arrived and is not drawn yet: however fast events come, the page redraws at most 25 times a second. */

import type { ChatMessage } from "./message.svelte";

const DRAW_EVERY_MS = 40;

/** What a message says, and what was thought before it. */
type Kind = "text" | "reasoning";

export class TextBuffer {
  #waiting = new Map<ChatMessage, Record<Kind, string>>();
  #timer: number | null = null;

  append(message: ChatMessage, kind: Kind, text: string): void {
    const waiting = this.#waiting.get(message) ?? { text: "", reasoning: "" };
    waiting[kind] += text;
    this.#waiting.set(message, waiting);
    this.#timer ??= window.setTimeout(() => this.flush(), DRAW_EVERY_MS);
  }

  /** Forgets what waits for a message, whose whole text is about to be set. */
  drop(message: ChatMessage): void {
    this.#waiting.delete(message);
  }

  flush(): void {
    if (this.#timer !== null) window.clearTimeout(this.#timer);
    this.#timer = null;
    for (const [message, waiting] of this.#waiting) {
      if (waiting.reasoning !== "") message.reasoning += waiting.reasoning;
      if (waiting.text !== "") message.text += waiting.text;
    }
    this.#waiting.clear();
  }
}
