/** A short list from the server: on its way, here, or not to be had. */

import { explain } from "../api";

export class Listing<T> {
  items = $state.raw<T[] | null>(null);
  error = $state<string | null>(null);

  /** Only the latest answer counts: an earlier one may be of before a change. */
  #asked = 0;

  constructor(private readonly fetch: () => Promise<T[]>) {
    void this.load();
  }

  async load(): Promise<void> {
    const number = ++this.#asked;
    try {
      const items = await this.fetch();
      if (number !== this.#asked) return;
      this.items = items;
      this.error = null;
    } catch (error) {
      if (number === this.#asked) this.error = explain(error);
    }
  }
}
