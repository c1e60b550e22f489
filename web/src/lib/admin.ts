/** HTTP of the administration pages, and its types: see docs/application-api.md. */

import { request, withQuery, type Query } from "./api";
import type { Page } from "./state/paged.svelte";
import type { Account } from "./types";

export const LIMITS = ["requests_per_minute", "tokens_per_minute", "tokens_per_day"] as const;
export type Limits<T> = Record<(typeof LIMITS)[number], T>;

/** A user in the list: his own limits (null: none), those that count, and what is used of today's. */
export interface KnownUser extends Account, Limits<number | null> {
  limits: Limits<number>;
  tokens_today: number;
  passkeys: number;
}

export interface Counts {
  requests: number;
  prompt_tokens: number;
  completion_tokens: number;
  timed_tokens: number;
  timed_milliseconds: number;
}

/** What was used on a day (of UTC, `2026-11-23`) of a model. */
export interface Used extends Counts {
  day: string;
  model: string;
}

export interface UsedByUser extends Counts {
  user: { id: string; name: string | null };
}

export type SignUp = "closed" | "invitation" | "open";

export interface Options extends Limits<number | null> {
  sign_up: SignUp;
  require_second_factor: boolean;
  default_model: string | null;
  titles: boolean;
}

export interface Entry {
  cursor: number;
  at: number;
  actor_id: string;
  actor_name: string;
  actor_key: string | null;
  action: string;
  kind: string;
  object_id: string;
  details: Record<string, unknown>;
  address: string | null;
}

export type Warning =
  | { code: "store_fails" | "no_backup" | "sign_up_open" }
  | { code: "disk_low" | "memory_low"; values: { free: number } }
  | { code: "engine_failed"; values: { model: string; error: string } }
  | { code: "old_backup"; values: { days: number } };

export interface Health {
  version: string;
  started_at: number;
  now: number;
  database: { kind: "sqlite" | "postgresql"; place: string; bytes: number; revision: string };
  data_dir: string;
  disk: { total: number; free: number };
  memory: { total: number; free: number };
  server_bytes: number | null;
  engines: {
    model: string;
    state: "loading" | "ready" | "failed";
    error: string | null;
    bytes: number | null;
    running: number;
    waiting: number;
    generated_tokens: number;
  }[];
  requests: number;
  client_errors: number;
  server_errors: number;
  users: number;
  sessions: number;
  last_backup: { at: number; path: string; bytes: number } | null;
  warnings: Warning[];
}

export const admin = {
  health: () => request<Health>("GET", "/api/admin/health"),
  users: async (query: Query): Promise<Page<KnownUser>> => {
    const { users, ...page } = await request<{ users: KnownUser[]; total: number; next: string | null }>(
      "GET",
      withQuery("/api/users", query),
    );
    return { items: users, ...page };
  },
  changeLimits: (id: string, limits: Limits<number | null>) =>
    request<Account>("PATCH", `/api/users/${encodeURIComponent(id)}`, limits),
  usage: async (from: string, to: string) =>
    (await request<{ sums: Used[] }>("GET", withQuery("/api/admin/usage", { from, to, by: ["day", "model"], limit: 10_000 }))).sums,
  usageByUser: async (from: string, to: string) =>
    (await request<{ sums: UsedByUser[] }>("GET", withQuery("/api/admin/usage", { from, to, by: "user", limit: 100 }))).sums,
  ownUsage: async (days: number) =>
    (await request<{ usage: (Used & { key: string | null })[] }>("GET", `/api/account/usage?days=${days}`)).usage,
  options: () => request<Options>("GET", "/api/admin/options"),
  changeOptions: (change: Partial<Options>) => request<Options>("PATCH", "/api/admin/options", change),
  audit: async (query: Query) => {
    type Found = { entries: Entry[]; next: number | null; actions: string[] };
    const { entries, next, actions } = await request<Found>("GET", withQuery("/api/admin/audit", query));
    return { items: entries, next: next === null ? null : String(next), actions };
  },
  prune: (before: number) => request<{ removed: number }>("POST", "/api/admin/audit/prune", { before }),
};
