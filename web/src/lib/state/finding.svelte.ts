/** What is searched for and what was found, a page at a time. */

import { api, explain } from "../api";
import type { Found, FoundMessage } from "../types";

/** Long enough for the next letter to come, short enough not to be noticed. */
const PAUSE_MS = 120;
/** Of pages that may be empty: a phrase is looked for in so many texts at a time. */
const MOST_PAGES = 20;

export class Finding {
  query = $state("");
  titles = $state.raw<Found["titles"]>([]);
  messages = $state.raw<FoundMessage[]>([]);
  next = $state<number | null>(null);
  /** What the shown results are of; null before the first. */
  answered = $state<string | null>(null);
  error = $state<string | null>(null);

  #timer = 0;
  #round = 0;

  constructor(query: string) {
    this.query = query;
    if (query !== "") void this.#ask(null);
  }

  /** What was typed is searched for, when typing pauses. */
  typed(): void {
    window.clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => void this.#ask(null), PAUSE_MS);
  }

  async more(): Promise<void> {
    if (this.next !== null) await this.#ask(this.next);
  }

  stop(): void {
    window.clearTimeout(this.#timer);
    this.#round += 1;
  }

  async #ask(before: number | null): Promise<void> {
    const round = ++this.#round;
    const query = this.query.trim();
    try {
      const found = query === "" ? { titles: [], messages: [], next: null } : await api.find(query, before);
      for (let page = 1; found.messages.length === 0 && found.next !== null && page < MOST_PAGES; page += 1) {
        if (round !== this.#round) return;
        const following = await api.find(query, found.next);
        found.messages = following.messages;
        found.next = following.next;
      }
      if (round !== this.#round) return;
      if (before === null) this.titles = found.titles;
      this.messages = before === null ? found.messages : [...this.messages, ...found.messages];
      this.next = found.next;
      this.answered = query;
      this.error = null;
    } catch (error) {
      if (round === this.#round) this.error = explain(error);
    }
  }
}
