/** The models on disk and in the catalog, and the one that the next message goes to. */

import { api, explain } from "../api";
import { read, write } from "../storage";
import { strings } from "../strings";
import type { MachineMemory, Model } from "../types";
import { toasts } from "./toasts.svelte";

const TITLES = "titles";

function rememberedTitles(): Record<string, unknown> {
  try {
    return Object(JSON.parse(read(TITLES) ?? "{}")) as Record<string, unknown>;
  } catch {
    return {};
  }
}

class Models {
  all = $state.raw<Model[]>([]);
  error = $state<string | null>(null);
  loaded = $state(false);
  /** The server's default model. */
  default = $state("");
  /** What models were called when the page was last open, so that it begins with their names. */
  #remembered: Record<string, unknown> = rememberedTitles();
  /** What the person chose for new chats; null: the default. */
  #preferred = $state<string | null>(read("model"));

  memory = $state.raw<MachineMemory | null>(null);

  /** What was told since the list was last asked for: that may be older. */
  #told = new Map<string, Model>();
  /** Only the latest list counts. */
  #asked = 0;

  readonly onDisk = $derived(this.all.filter((model) => model.on_disk));
  readonly available = $derived(this.all.filter((model) => !model.on_disk));

  /** The model of a new chat. A preference whose model is gone does not count. */
  get preferred(): string {
    const known = this.#preferred !== null && this.find(this.#preferred) !== null;
    return known || !this.loaded ? (this.#preferred ?? this.default) : this.default;
  }

  set preferred(name: string) {
    this.#preferred = name;
    write("model", name === this.default ? null : name);
  }

  find(name: string | null): Model | null {
    return this.all.find((model) => model.name === name) ?? null;
  }

  /** A model's name for people. */
  title(name: string | null): string {
    return this.find(name)?.title ?? name ?? "";
  }

  /** The same while the models are not here yet: empty rather than a name that changes in a moment. */
  titleSoFar(name: string): string {
    const before = this.#remembered[name];
    if (this.loaded || this.error !== null) return this.title(name);
    return typeof before === "string" ? before : "";
  }

  /** Bytes that a model takes with one whole context in its cache; null where that is not known. */
  needed({ memory, context }: Model): number | null {
    return memory === null ? null : memory.weights + (memory.kv_per_1000_tokens * (context ?? 0)) / 1000;
  }

  /** What there is too little of for a model that is not loaded. Others that are idle would be unloaded for it. */
  shortage(model: Model): { needed: number; free: number } | null {
    if (this.memory === null || model.loaded) return null;
    const needed = model.memory?.weights ?? model.bytes;
    if (needed === null) return null;
    const idle = this.all.filter(({ loaded, running }) => loaded && running === 0);
    const freed = idle.reduce((sum, { memory }) => sum + (memory?.weights ?? 0), 0);
    const free = Math.min(this.memory.available + freed, this.memory.budget || Infinity);
    return needed > free ? { needed, free } : null;
  }

  async load(): Promise<void> {
    const number = ++this.#asked;
    this.#told = new Map();
    try {
      const { models, default: name, memory } = await api.models();
      if (number !== this.#asked) return;
      this.all = models;
      for (const model of this.#told.values()) this.#put(model);
      this.memory = memory;
      this.default = name;
      this.error = null;
      this.loaded = true;
      write(TITLES, JSON.stringify(Object.fromEntries(this.onDisk.map(({ name, title }) => [name, title]))));
    } catch (error) {
      if (number === this.#asked) this.error = explain(error);
    }
  }

  changed(model: Model): void {
    if (this.find(model.name)?.pull && model.on_disk) toasts.show(strings.models.ready(model.title));
    this.#told.set(model.name, model);
    this.#put(model);
  }

  #put(model: Model): void {
    // Neither on disk nor in the catalog: it was fetched by its place, and that was given up.
    if (!model.on_disk && model.pull === null && model.name.startsWith("hf:")) {
      this.all = this.all.filter(({ name }) => name !== model.name);
      return;
    }
    this.all = this.find(model.name)
      ? this.all.map((known) => (known.name === model.name ? model : known))
      : [...this.all, model];
  }

  async pull(name: string): Promise<void> {
    await this.#ask(name, api.pull);
  }

  async cancelPull(name: string): Promise<void> {
    await this.#ask(name, api.cancelPull);
  }

  async #ask(name: string, request: (name: string) => Promise<Model>): Promise<void> {
    const before = this.find(name);
    try {
      const model = await request(name);
      // Unless the socket has said something newer meanwhile.
      if (this.find(name) === before) this.changed(model);
    } catch (error) {
      toasts.show(explain(error), "error");
    }
  }
}

export const models = new Models();
