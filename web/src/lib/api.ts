/** HTTP with the server: one function a request of docs/application-api.md. */

import { takeEarly } from "./early";
import { gate } from "./gate";
import { chatPath, kept } from "./kept";
import { strings } from "./strings";
import type {
  Account,
  ApiKey,
  Chat,
  Factor,
  Invitation,
  InvitationState,
  ChatAction,
  ChatFilter,
  Failure,
  MachineMemory,
  Needs,
  Found,
  Message,
  Model,
  ModelCard,
  NewApiKey,
  NewInvitation,
  NewMessage,
  NewRun,
  Parameters,
  Preset,
  Project,
  Passkey,
  PendingFactor,
  Preferences,
  PreferencesChange,
  Proof,
  ProviderLink,
  Role,
  Run,
  Session,
  SignIn,
  Started,
  User,
  WholeChat,
} from "./types";
import type { Json } from "./passkeys";
import type { PlaygroundLine } from "./state/playground.svelte";
import type { TokenPage } from "./tokens";

const TIMEOUT_MS = 30_000;
/** Signing in should help the first time; a server that says otherwise is not asked for ever. */
const MOST_ATTEMPTS = 5;

/** The server answered, and said no. */
export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** No answer from the server: it may or may not have done what was asked. */
export class NetworkError extends Error {
  override readonly name = "NetworkError";
}

/** A gateway's "nobody is there" is as good as no answer. */
const NO_ANSWER = new Set([502, 504]);

/** Says whose page this is: the server refuses it if somebody else has signed in meanwhile in another tab. */
let user: string | null = null;

export function speakFor(id: string): void {
  user = id;
}

/** What is asked for in this user's name; it waits while nobody is signed in. */
export async function request<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await ask<T>(method, path, body, user === null ? {} : { "X-Myna-User": user }, signal);
    } catch (error) {
      if (error instanceof NetworkError && kept.takes(method, path)) {
        const earlier = await kept.get<T>(path);
        if (earlier !== null) return earlier;
      }
      if (error instanceof ApiError && error.status === 403) gate.refused();
      if (!(error instanceof ApiError) || error.status !== 401 || error.code !== "not_signed_in") throw error;
      if (attempt === MOST_ATTEMPTS) throw error;
      await gate.wait();
    }
  }
}

/** Without a `signal` that ends it, it ends by itself when no answer comes. */
async function ask<T>(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
  signal: AbortSignal = AbortSignal.timeout(TIMEOUT_MS),
): Promise<T> {
  let response: Response;
  try {
    const early = await takeEarly(method, path);
    response = early ?? await fetch(path, {
      method,
      // The server asks for the JSON type on every change, with or without a body: forms of other sites cannot set it.
      headers: method === "GET" ? headers : { ...headers, "Content-Type": "application/json" },
      body: body === undefined ? null : JSON.stringify(body),
      signal,
    });
  } catch (error) {
    throw new NetworkError(strings.errors.offline, { cause: error });
  }
  if (NO_ANSWER.has(response.status)) throw new NetworkError(strings.errors.offline);
  if (!response.ok) throw await toApiError(response);
  if (response.status === 204) return undefined as T;
  try {
    const text = await response.text();
    const value = JSON.parse(text) as T;
    if (kept.takes(method, path)) kept.put(path, text);
    return value;
  } catch (error) {
    throw new NetworkError(strings.errors.offline, { cause: error });
  }
}

/** Lines of JSON as they come, until the server ends them or `signal` does. */
async function* lines<T>(path: string, body: unknown, signal: AbortSignal): AsyncGenerator<T> {
  const headers = { "Content-Type": "application/json", ...(user === null ? {} : { "X-Myna-User": user }) };
  let response: Response;
  try {
    response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body), signal });
  } catch (error) {
    throw new NetworkError(strings.errors.offline, { cause: error });
  }
  if (!response.ok || !response.body) throw await toApiError(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ; ) {
    const { done, value } = await reader.read();
    if (done) return;
    const whole = (rest + value).split("\n");
    rest = whole.pop() ?? "";
    for (const line of whole) yield JSON.parse(line) as T;
  }
}

async function toApiError(response: Response): Promise<ApiError> {
  try {
    const { error } = (await response.json()) as { error: { code?: string; message?: string } };
    return new ApiError(response.status, error.code ?? "", error.message ?? strings.errors.unexpected(response.status));
  } catch {
    return new ApiError(response.status, "", strings.errors.unexpected(response.status));
  }
}

const segment = encodeURIComponent;

export type Query = Record<string, string | number | boolean | string[] | null | undefined>;

/** A path with what is given of a query; null, undefined and "" are left out. */
export function withQuery(path: string, query: Query): string {
  const parts = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== null && each !== undefined && each !== "") parts.append(name, String(each));
    }
  }
  return parts.size === 0 ? path : `${path}?${parts}`;
}

/** Where a list of chats is asked for, page by page; without `before` its first. */
export function chatsPath(filter: ChatFilter, before: string | null = null): string {
  return withQuery("/api/chats", { limit: 50, ...filter, before });
}

export const api = {
  // Who is there: these are asked by nobody in particular, and so never wait.
  session: () => ask<Session>("GET", "/api/session"),
  setUp: (token: string | null, name: string, password: string) =>
    ask<Session>("POST", "/api/setup", { ...(token === null ? {} : { token }), name, password }),
  signIn: (name: string, password: string, code: string | null = null) =>
    ask<Session>("POST", "/api/session", { name, password, ...(code === null ? {} : { code }) }),
  beginFactorToSignIn: (name: string, password: string) =>
    ask<PendingFactor>("POST", "/api/session/second-factor", { name, password }),
  beginWithProvider: (purpose: "sign_in" | "link", more: Proof | { invitation: string }) =>
    ask<{ location: string }>("POST", "/api/provider", { purpose, ...more }),
  finishWithProvider: (code: string, state: string, iss: string | null) =>
    ask<Session>("POST", "/api/provider/finish", { code, state, ...(iss === null ? {} : { iss }) }),
  askForPasskey: () => ask<{ options: Json }>("POST", "/api/passkeys", {}),
  signInWithPasskey: (credential: Json) => ask<Session>("POST", "/api/passkeys/finish", { credential }),
  passkeys: () => request<{ passkeys: Passkey[] }>("GET", "/api/account/passkeys"),
  beginPasskey: (proof: Proof) => request<{ options: Json }>("POST", "/api/account/passkeys", proof),
  addPasskey: (credential: Json, name: string) =>
    request<Passkey>("POST", "/api/account/passkeys/finish", { credential, name }),
  renamePasskey: (id: string, name: string) =>
    request<Passkey>("PATCH", `/api/account/passkeys/${segment(id)}`, { name }),
  removePasskey: (id: string) => request<void>("DELETE", `/api/account/passkeys/${segment(id)}`),
  providerLink: () => request<ProviderLink>("GET", "/api/account/provider"),
  unlinkProvider: () => request<void>("DELETE", "/api/account/provider"),
  lookAtInvitation: (secret: string) => ask<InvitationState>("POST", "/api/invitations/look", { secret }),
  signUp: (name: string, password: string, invitation: string | null) =>
    ask<Session>("POST", "/api/sign-up", { name, password, ...(invitation === null ? {} : { invitation }) }),
  signOut: () => ask<void>("DELETE", "/api/session"),

  changePassword: (old: string, next: string) => request<void>("POST", "/api/account/password", { old, new: next }),
  signIns: () => request<{ sessions: SignIn[] }>("GET", "/api/account/sessions"),
  endSignIn: (id: string) => request<void>("DELETE", `/api/account/sessions/${segment(id)}`),
  endOtherSignIns: () => request<void>("DELETE", "/api/account/sessions"),
  preferences: () => request<Preferences>("GET", "/api/account/preferences"),
  changePreferences: (change: PreferencesChange) =>
    request<Preferences>("PATCH", "/api/account/preferences", change),
  factor: () => request<Factor>("GET", "/api/account/second-factor"),
  needs: () => request<Needs>("GET", "/api/account/confirmation"),
  beginFactor: (proof: Proof) => request<PendingFactor>("POST", "/api/account/second-factor", proof),
  confirmFactor: (code: string) =>
    request<{ recovery_codes: string[] }>("POST", "/api/account/second-factor/confirm", { code }),
  renewRecoveryCodes: (proof: Proof) =>
    request<{ recovery_codes: string[] }>("POST", "/api/account/second-factor/recovery-codes", proof),
  disableFactor: (proof: Proof) => request<void>("DELETE", "/api/account/second-factor", proof),
  deleteAccount: (proof: Proof) => request<void>("DELETE", "/api/account", proof),
  invitations: () => request<{ invitations: Invitation[] }>("GET", "/api/invitations"),
  makeInvitation: (invitation: NewInvitation) =>
    request<Invitation & { secret: string }>("POST", "/api/invitations", invitation),
  endInvitation: (id: string) => request<void>("DELETE", `/api/invitations/${segment(id)}`),
  changeKey: (id: string, change: Partial<NewApiKey>) =>
    request<ApiKey>("PATCH", `/api/account/keys/${segment(id)}`, change),
  keys: () => request<{ keys: ApiKey[] }>("GET", "/api/account/keys"),
  makeKey: (key: NewApiKey) => request<ApiKey & { secret: string }>("POST", "/api/account/keys", key),
  revokeKey: (id: string) => request<void>("DELETE", `/api/account/keys/${segment(id)}`),
  makeUser: (name: string, role: Role) => request<User & { password: string }>("POST", "/api/users", { name, role }),
  changeUser: (id: string, change: { role?: Role; disabled?: boolean; password?: true }) =>
    request<Account & { password?: string }>("PATCH", `/api/users/${segment(id)}`, change),
  resetPasskeys: (id: string) => request<void>("DELETE", `/api/users/${segment(id)}/passkeys`),
  resetFactor: (id: string) => request<void>("DELETE", `/api/users/${segment(id)}/second-factor`),
  deleteUser: (id: string) => request<void>("DELETE", `/api/users/${segment(id)}`),

  chats: (filter: ChatFilter, before: string | null) =>
    request<{ chats: Chat[]; next: string | null }>("GET", chatsPath(filter, before)),
  /** Changes many chats in one transaction; those that this did change. */
  arrange: (action: ChatAction, chosen: { ids: string[] } | { all: "archived" }, more: { project_id?: string | null } = {}) =>
    request<{ changed: string[]; missing: string[] }>("POST", "/api/chats/bulk", { action, ...chosen, ...more }),
  find: (q: string, before: number | null) => request<Found>("GET", withQuery("/api/search", { q, before })),
  projects: () => request<{ projects: Project[] }>("GET", "/api/projects"),
  makeProject: (project: Pick<Project, "id" | "name" | "instructions">) =>
    request<Project>("POST", "/api/projects", project),
  changeProject: (id: string, change: Partial<Pick<Project, "name" | "instructions">>) =>
    request<Project>("PATCH", `/api/projects/${segment(id)}`, change),
  deleteProject: (id: string, chats: "keep" | "delete") =>
    request<void>("DELETE", `/api/projects/${segment(id)}?with_chats=${chats}`),
  chat: (id: string) => request<WholeChat>("GET", chatPath(id)),
  messages: (chatId: string, ids: readonly string[]) =>
    request<{ messages: Message[]; runs: Run[] }>("GET", `/api/chats/${segment(chatId)}/messages?ids=${ids.join(",")}`),
  patchChat: (id: string, change: Partial<Pick<Chat, "title" | "model" | "leaf_id" | "system_prompt" | "parameters">>) =>
    request<Chat>("PATCH", `/api/chats/${segment(id)}`, change),
  deleteChat: (id: string) => request<void>("DELETE", `/api/chats/${segment(id)}`),

  postMessage: (chatId: string, body: NewMessage) =>
    request<Started>("POST", `/api/chats/${segment(chatId)}/messages`, body),
  postRun: (chatId: string, body: NewRun) => request<Started>("POST", `/api/chats/${segment(chatId)}/runs`, body),
  stopRun: (id: string) => request<Run>("POST", `/api/runs/${segment(id)}/stop`),
  /** How likely an answer's tokens were; takes as long as the model does to read it, until `signal` ends it. */
  tokens: (messageId: string, first: number, count: number, signal: AbortSignal) =>
    request<TokenPage>("POST", `/api/messages/${segment(messageId)}/tokens`, { first, count, top: 8 }, signal),
  /** `edited_at` is what is known here: a change from elsewhere is not overwritten, unless that is wanted. */
  editMessage: (id: string, body: { text: string; edited_at: number | null; overwrite?: boolean }) =>
    request<Message>("PATCH", `/api/messages/${segment(id)}`, body),
  copyMessage: (id: string, body: { id: string; text: string }) =>
    request<{ chat: Chat; message: Message }>("POST", `/api/messages/${segment(id)}/copy`, body),
  fork: (chatId: string, body: { id: string; message_id: string; title: string }) =>
    request<Chat>("POST", `/api/chats/${segment(chatId)}/fork`, body),
  sendOn: (runId: string) => request<Run>("POST", `/api/runs/${segment(runId)}/send`),
  rewriteWaiting: (runId: string, text: string) =>
    request<Message>("PATCH", `/api/runs/${segment(runId)}`, { text }),
  withdraw: (runId: string) => request<void>("DELETE", `/api/runs/${segment(runId)}`),
  deleteMessage: (id: string) => request<void>("DELETE", `/api/messages/${segment(id)}`),

  models: () => request<{ models: Model[]; default: string; memory: MachineMemory }>("GET", "/api/models"),
  modelCard: (name: string) => request<ModelCard>("GET", `/api/models/${segment(name)}/card`),
  loadModel: (name: string) => request<Model>("POST", `/api/models/${segment(name)}/load`),
  unloadModel: (name: string) => request<Model>("POST", `/api/models/${segment(name)}/unload`),
  deleteModel: (name: string) => request<void>("DELETE", `/api/models/${segment(name)}`),
  licences: () => request<{ acknowledged: { licence: string }[] }>("GET", "/api/licences"),
  acknowledge: (licence: string, model: string) => request<void>("POST", "/api/licences", { licence, model }),
  playground: (body: { text: string; model: string; count: number; parameters?: Parameters }, signal: AbortSignal) =>
    lines<PlaygroundLine>("/api/playground", body, signal),
  presets: () => request<{ presets: Preset[] }>("GET", "/api/presets"),
  makePreset: (preset: Omit<Preset, "created_at">) => request<Preset>("POST", "/api/presets", preset),
  changePreset: (id: string, change: Partial<Omit<Preset, "id" | "created_at">>) =>
    request<Preset>("PATCH", `/api/presets/${segment(id)}`, change),
  deletePreset: (id: string) => request<void>("DELETE", `/api/presets/${segment(id)}`),
  pull: (name: string) => request<Model>("POST", `/api/models/${segment(name)}/pull`),
  cancelPull: (name: string) => request<Model>("POST", `/api/models/${segment(name)}/pull/cancel`),
};

/** Their translation says all: what the server adds is no value that the person would miss. */
const WITHOUT_DETAILS: ReadonlySet<string> = new Set([
  "account_disabled",
  "engine_busy",
  "engine_crashed",
  "internal_error",
  "not_found",
  "not_signed_in",
  "server_stopping",
  "store_unavailable",
  "wrong_password",
  "wrong_own_password",
  "wrong_code",
  "wrong_passkey",
  "second_factor_required",
  "second_factor_setup_required",
]);

/**
 * What to tell the person about a caught error, or about a failure that the server recorded: in the page's language
 * where the code is known, followed by the server's English where that carries values.
 */
export function explain(error: unknown): string {
  if (!(error instanceof Error) && !isFailure(error)) return String(error);
  const code = error instanceof ApiError || isFailure(error) ? error.code : "";
  const known = Object.hasOwn(strings.codes, code) ? strings.codes[code] : undefined;
  if (known === undefined) return error.message;
  // Isolated, so that an English sentence is read from left to right in an Arabic one.
  return WITHOUT_DETAILS.has(code) ? known : `${known} (\u2066${error.message}\u2069)`;
}

function isFailure(value: unknown): value is Failure {
  return typeof value === "object" && value !== null && "code" in value && "message" in value && !(value instanceof Error);
}
