/** A long list from the server, a page at a time: what is asked for may change, and only the last answer counts. */

import { explain } from "../api";

export interface Page<T> {
  items: T[];
  next: string | null;
  total?: number;
}

export class Paged<T> {
  items = $state.raw<T[] | null>(null);
  total = $state<number | null>(null);
  next = $state<string | null>(null);
  error = $state<string | null>(null);
  busy = $state(false);
  private asked = 0;

  constructor(private readonly fetch: (after: string | null) => Promise<Page<T>>) {}

  /** From the beginning. */
  async load(): Promise<void> {
    await this.ask(null, []);
  }

  async more(): Promise<void> {
    if (this.next !== null && !this.busy) await this.ask(this.next, this.items ?? []);
  }

  private async ask(after: string | null, before: T[]): Promise<void> {
    const number = ++this.asked;
    this.busy = true;
    try {
      const page = await this.fetch(after);
      if (number !== this.asked) return;
      this.items = [...before, ...page.items];
      this.next = page.next;
      this.total = page.total ?? null;
      this.error = null;
    } catch (error) {
      if (number === this.asked) this.error = explain(error);
    }
    if (number === this.asked) this.busy = false;
  }
}
