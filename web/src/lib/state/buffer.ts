/** Text that arrived and is not drawn yet: however fast events come, the page redraws at most 25 times a second. */

import type { ChatMessage } from "./message.svelte";

const DRAW_EVERY_MS = 40;

export class TextBuffer {
  #waiting = new Map<ChatMessage, string>();
  #timer: number | null = null;

  append(message: ChatMessage, text: string): void {
    this.#waiting.set(message, (this.#waiting.get(message) ?? "") + text);
    this.#timer ??= window.setTimeout(() => this.flush(), DRAW_EVERY_MS);
  }

  /** Forgets what waits for a message, whose whole text is about to be set. */
  drop(message: ChatMessage): void {
    this.#waiting.delete(message);
  }

  flush(): void {
    if (this.#timer !== null) window.clearTimeout(this.#timer);
    this.#timer = null;
    for (const [message, text] of this.#waiting) message.text += text;
    this.#waiting.clear();
  }
}
