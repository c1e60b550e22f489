/** Models, on the wire. */

import type { Failure } from "./messages";

export interface Pull {
  state: "running" | "failed";
  done: number;
  total: number;
  bytes_per_second: number | null;
  source: string | null;
  error: string | Failure | null;
}

/** A model without an entry in the catalog, such as somebody's own file, leaves open what only the catalog knows. */
export interface Model {
  name: string;
  title: string;
  description: string | null;
  parameters: number | null;
  licence: string | null;
  licence_class: string | null;
  licence_title: string | null;
  licence_url: string | null;
  /** The licence is to be acknowledged before the first answer. */
  forbids: boolean;
  context: number | null;
  bytes: number | null;
  on_disk: boolean;
  /** Myna fetched it, and may delete it. */
  removable: boolean;
  state: "absent" | "loading" | "ready" | "failed";
  load_error: Failure | null;
  running: number;
  /** Bytes; null before it is on disk. */
  memory: { weights: number; kv_per_1000_tokens: number } | null;
  /** Of its answers on this machine; null before there were any. */
  tokens_per_second: number | null;
  /** Whether it was taught to hold a conversation; null: not known. */
  chats: boolean | null;
  thinks: boolean;
  sampling: { temperature: number; top_p: number; max_tokens: number; system_prompt: string | null };
  loaded: boolean;
  default: boolean;
  pull: Pull | null;
}

/** All that is known of a model, as the authors say it. */
export interface ModelCard {
  model: Model;
  sources: string[];
  source: string | null;
  sha256: string | null;
  fetched_at: number | null;
  path: string | null;
  architecture: string | null;
  layers: number | null;
  width: number | null;
  heads: number | null;
  vocabulary: number | null;
  loaded_as: string | null;
  stored: Record<string, number>;
  packed: Record<string, number>;
  dialect: string | null;
  trained_on: string | null;
  limits: string | null;
  more: string | null;
  /** Those that lie beside its files. */
  licence_texts: LicenceText[];
}

export interface LicenceText {
  file: string;
  text: string;
}

/** Bytes that the machine has, and that are free; the budget is 0 where there is none. */
export interface MachineMemory {
  total: number;
  available: number;
  budget: number;
}
