/** The chats that are chosen in the list, to do the same with all of them. */

import { SvelteSet } from "svelte/reactivity";

class Selection {
  active = $state(false);
  readonly ids = new SvelteSet<string>();
  #last: string | null = null;

  begin(id?: string): void {
    this.active = true;
    if (id !== undefined) this.toggle(id, false);
  }

  end(): void {
    this.active = false;
    this.ids.clear();
    this.#last = null;
  }

  /** Chooses a chat or no longer; with `through` also all between it and the one before, as the list shows them. */
  toggle(id: string, through: boolean): void {
    const chosen = !this.ids.has(id);
    const shown = shownIds();
    const from = through && this.#last !== null ? shown.indexOf(this.#last) : -1;
    const to = shown.indexOf(id);
    const range = from < 0 ? [id] : shown.slice(Math.min(from, to), Math.max(from, to) + 1);
    for (const each of range) {
      if (chosen) this.ids.add(each);
      else this.ids.delete(each);
    }
    this.#last = id;
  }

  all(): void {
    for (const id of shownIds()) this.ids.add(id);
  }
}

/** In the order of the list, whatever sections it has. */
function shownIds(): string[] {
  const rows = document.querySelectorAll<HTMLElement>("aside [data-chat]");
  return Array.from(rows, (row) => row.dataset["chat"] ?? "");
}

export const selection = new Selection();
