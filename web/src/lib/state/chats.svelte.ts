/** The chats that are known here, kept current by changes from the server, and the lists that are read page by page. */

import { api, chatsPath, explain } from "../api";
import { periodOf, type Period } from "../format";
import { kept } from "../kept";
import { isOpen, type Chat, type ChatFilter, type Run } from "../types";

/** Chats of one list that are kept for when the server cannot be reached. */
const MOST_KEPT = 100;

interface ChatGroup {
  period: Period;
  chats: Chat[];
}

/** One list of the server's, latest first: how far it has been read. What it brings goes to all that is known. */
export class Pages {
  /** Where the next page starts; null: everything is here. */
  #next = $state<string | null>(null);
  /** Where the second page starts. */
  second: string | null = null;
  /** Counts the loads from the beginning: a page that was asked for before the latest of them is dropped. */
  #round = 0;
  #asking: Promise<void> | null = null;

  loaded = $state(false);
  loading = $state(false);
  error = $state<string | null>(null);

  constructor(
    readonly filter: ChatFilter,
    private readonly take: (page: readonly Chat[]) => void,
  ) {}

  get complete(): boolean {
    return this.loaded && this.#next === null;
  }

  /** The first page, anew. */
  async load(): Promise<void> {
    this.#round += 1;
    this.#next = this.#asking = null;
    this.loaded = this.loading = false;
    await this.more();
  }

  /** The next page, if there is one. Whoever wants it while it is on its way waits for the same answer. */
  more(): Promise<void> {
    if (this.#asking === null && !this.complete) this.#asking = this.#ask();
    return this.#asking ?? Promise.resolve();
  }

  async #ask(): Promise<void> {
    const round = this.#round;
    this.loading = true;
    try {
      const page = await api.chats(this.filter, this.#next);
      if (round !== this.#round) return;
      if (!this.loaded) this.second = page.next;
      this.take(page.chats);
      this.#next = page.next;
      this.loaded = true;
      this.error = null;
    } catch (error) {
      if (round === this.#round) this.error = explain(error);
    } finally {
      if (round === this.#round) {
        this.loading = false;
        this.#asking = null;
      }
    }
  }
}

class Chats {
  #known = $state.raw(new Map<string, Chat>());
  #deleted = new Set<string>();
  /** Open runs by chat, for the mark beside its title. */
  #runs = $state.raw(new Map<string, string>());
  /** Of each list the latest that somebody has shown, by the address of its first page. */
  #lists = new Map<string, Pages>();
  #loose = this.pages({ project: "none" });
  #pins = this.pages({ pinned: true });

  /** Counts how often everything was forgotten, for whoever shows a list of his own: he reads it anew. */
  epoch = $state(0);

  readonly #sorted = $derived(
    [...this.#known.values()].sort((a, b) => b.updated_at - a.updated_at || (a.id < b.id ? 1 : -1)),
  );
  /** What is not archived, latest first. */
  readonly all = $derived(this.#sorted.filter((chat) => chat.archived_at === null));
  readonly archived = $derived(this.#sorted.filter((chat) => chat.archived_at !== null));
  readonly pinned = $derived(this.all.filter((chat) => chat.pinned_at !== null));
  /** What the sidebar groups by time: neither pinned nor in a project. */
  readonly loose = $derived(this.all.filter((chat) => chat.pinned_at === null && chat.project_id === null));

  get loaded(): boolean {
    return this.#loose.loaded && this.#pins.loaded;
  }

  get loading(): boolean {
    return this.#loose.loading || this.#pins.loading;
  }

  get error(): string | null {
    return this.#loose.error ?? this.#pins.error;
  }

  get complete(): boolean {
    return this.#loose.complete && this.#pins.complete;
  }

  /** A list of the server's, for whoever shows it. */
  pages(filter: ChatFilter): Pages {
    const pages = new Pages(filter, (page) => this.#take(page));
    this.#lists.set(chatsPath(filter), pages);
    return pages;
  }

  ofProject(id: string): Chat[] {
    return this.all.filter((chat) => chat.project_id === id);
  }

  /** The first pages, anew. */
  async load(): Promise<void> {
    this.#known = new Map();
    this.epoch += 1;
    await Promise.all([this.#loose.load(), this.#pins.load()]);
  }

  /** The next page, if there is one. */
  async more(): Promise<void> {
    await Promise.all([this.#loose.more(), this.#pins.more()]);
  }

  find(id: string): Chat | null {
    return this.#known.get(id) ?? null;
  }

  changed(chat: Chat): void {
    this.#take([chat]);
    this.#keep();
  }

  removed(...ids: string[]): void {
    const known = new Map(this.#known);
    for (const id of ids) {
      this.#deleted.add(id);
      known.delete(id);
    }
    if (known.size === this.#known.size) return;
    this.#known = known;
    this.#keep();
  }

  /** A deletion that the server refused. */
  restored(chat: Chat): void {
    this.#deleted.delete(chat.id);
    this.changed(chat);
  }

  /** What the server has done to these chats and will tell: shown without waiting for that. */
  amended(ids: readonly string[], change: Partial<Chat>): void {
    const known = new Map(this.#known);
    for (const id of ids) {
      const chat = known.get(id);
      if (chat) known.set(id, { ...chat, ...change });
    }
    this.#known = known;
    this.#keep();
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

  /** Has what is kept of the lists, for when the server cannot be reached, say what is known now. */
  #keep(): void {
    for (const [path, pages] of this.#lists) {
      kept.renew(path, () => {
        // What is not here yet is kept when it comes.
        if (!pages.loaded) return null;
        const listed = this.#sorted.filter((chat) => isListed(chat, pages.filter));
        return { chats: listed.slice(0, MOST_KEPT), next: pages.second };
      });
    }
  }

  #take(page: readonly Chat[]): void {
    const known = new Map(this.#known);
    for (const chat of page) {
      if (!this.#deleted.has(chat.id)) known.set(chat.id, newer(known.get(chat.id), chat));
    }
    this.#known = known;
  }
}

/** Whether a list has a chat, as the server decides it. */
function isListed(chat: Chat, { archived = false, pinned, project }: ChatFilter): boolean {
  if ((chat.archived_at !== null) !== archived) return false;
  if (pinned !== undefined && (chat.pinned_at !== null) !== pinned) return false;
  return project === undefined || chat.project_id === (project === "none" ? null : project);
}

function newer(known: Chat | undefined, chat: Chat): Chat {
  return known && known.version > chat.version ? known : chat;
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
