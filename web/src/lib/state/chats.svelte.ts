/** The list of chats, latest first, page by page, kept current by changes from the server. */

import { api, explain } from "../api";
import { periodOf, type Period } from "../format";
import { isOpen, type Chat, type Run } from "../types";

export interface ChatGroup {
  period: Period;
  chats: Chat[];
}

class Chats {
  #known = $state.raw(new Map<string, Chat>());
  /** Where the next page starts; null: everything is here. */
  #next = $state<string | null>(null);
  /** Counts the loads from the beginning: a page that was asked for before the latest of them is dropped. */
  #round = 0;
  #deleted = new Set<string>();
  /** Open runs by chat, for the mark beside its title. */
  #runs = $state.raw(new Map<string, string>());

  loaded = $state(false);
  loading = $state(false);
  error = $state<string | null>(null);

  readonly all = $derived(
    [...this.#known.values()].sort((a, b) => b.updated_at - a.updated_at || (a.id < b.id ? 1 : -1)),
  );

  get complete(): boolean {
    return this.loaded && this.#next === null;
  }

  /** The first page, anew. */
  async load(): Promise<void> {
    this.#round += 1;
    this.#next = null;
    this.loaded = this.loading = false;
    await this.more();
  }

  /** The next page, if there is one and none is on its way. */
  async more(): Promise<void> {
    if (this.loading || this.complete) return;
    const round = this.#round;
    this.loading = true;
    try {
      const page = await api.chats(this.#next);
      if (round !== this.#round) return;
      const known = new Map(this.loaded ? this.#known : []);
      for (const chat of page.chats) {
        if (!this.#deleted.has(chat.id)) known.set(chat.id, newer(this.#known.get(chat.id), chat));
      }
      this.#known = known;
      this.#next = page.next;
      this.loaded = true;
      this.error = null;
    } catch (error) {
      if (round === this.#round) this.error = explain(error);
    } finally {
      if (round === this.#round) this.loading = false;
    }
  }

  find(id: string): Chat | null {
    return this.#known.get(id) ?? null;
  }

  changed(chat: Chat): void {
    if (this.#deleted.has(chat.id)) return;
    const known = this.#known.get(chat.id);
    if (known && newer(known, chat) === known) return;
    this.#known = new Map(this.#known).set(chat.id, chat);
  }

  removed(id: string): void {
    this.#deleted.add(id);
    const known = new Map(this.#known);
    if (known.delete(id)) this.#known = known;
  }

  /** A deletion that the server refused. */
  restored(chat: Chat): void {
    this.#deleted.delete(chat.id);
    this.changed(chat);
  }

  runChanged(run: Run): void {
    const runs = new Map(this.#runs);
    if (isOpen(run.status)) runs.set(run.id, run.chat_id);
    else runs.delete(run.id);
    this.#runs = runs;
  }

  readonly #running = $derived(new Set(this.#runs.values()));

  isRunning(id: string): boolean {
    return this.#running.has(id);
  }

  /** The runs that were open may have ended unheard. */
  forgetRuns(): void {
    this.#runs = new Map();
  }
}

function newer(known: Chat | undefined, chat: Chat): Chat {
  return known && known.version >= chat.version ? known : chat;
}

/** Chats by how long ago they were last used, in the order given. */
export function grouped(chats: readonly Chat[], now: number): ChatGroup[] {
  const groups: ChatGroup[] = [];
  for (const chat of chats) {
    const period = periodOf(chat.updated_at, now);
    const last = groups.at(-1);
    if (last && keyOf(last.period) === keyOf(period)) last.chats.push(chat);
    else groups.push({ period, chats: [chat] });
  }
  return groups;
}

export function keyOf(period: Period): string {
  return typeof period === "string" ? period : period.month;
}

export const chats = new Chats();
