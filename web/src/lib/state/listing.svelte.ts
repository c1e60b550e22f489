/** A short list from the server: on its way, here, or not to be had. */

import { explain } from "../api";

export class Listing<T> {
  items = $state.raw<T[] | null>(null);
  error = $state<string | null>(null);

  constructor(private readonly fetch: () => Promise<T[]>) {
    void this.load();
  }

  async load(): Promise<void> {
    try {
      this.items = await this.fetch();
      this.error = null;
    } catch (error) {
      this.error = explain(error);
    }
  }
}
