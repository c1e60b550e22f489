/** HTTP with the server: one function a request of docs/application-api.md. */

import { strings } from "./strings";
import type { Chat, Message, Model, NewMessage, NewRun, Run, Session, Started } from "./types";

const TIMEOUT_MS = 30_000;

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

async function request<T>(method: string, path: string, body?: unknown): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      // The server asks for the JSON type on every change, with or without a body: forms of other sites cannot set it.
      headers: method === "GET" ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? null : JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (error) {
    throw new NetworkError(strings.errors.offline, { cause: error });
  }
  if (NO_ANSWER.has(response.status)) throw new NetworkError(strings.errors.offline);
  if (!response.ok) throw await toApiError(response);
  if (response.status === 204) return undefined as T;
  try {
    return (await response.json()) as T;
  } catch (error) {
    throw new NetworkError(strings.errors.offline, { cause: error });
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

export const api = {
  session: () => request<Session>("GET", "/api/session"),

  chats: (before: string | null) =>
    request<{ chats: Chat[]; next: string | null }>(
      "GET",
      `/api/chats?limit=50${before === null ? "" : `&before=${segment(before)}`}`,
    ),
  chat: (id: string) =>
    request<{ chat: Chat; messages: Message[]; runs: Run[] }>("GET", `/api/chats/${segment(id)}`),
  patchChat: (id: string, change: Partial<Pick<Chat, "title" | "model" | "leaf_id">>) =>
    request<Chat>("PATCH", `/api/chats/${segment(id)}`, change),
  deleteChat: (id: string) => request<void>("DELETE", `/api/chats/${segment(id)}`),

  postMessage: (chatId: string, body: NewMessage) =>
    request<Started>("POST", `/api/chats/${segment(chatId)}/messages`, body),
  postRun: (chatId: string, body: NewRun) => request<Started>("POST", `/api/chats/${segment(chatId)}/runs`, body),
  stopRun: (id: string) => request<Run>("POST", `/api/runs/${segment(id)}/stop`),
  deleteMessage: (id: string) => request<void>("DELETE", `/api/messages/${segment(id)}`),

  models: () => request<{ models: Model[]; default: string }>("GET", "/api/models"),
  pull: (name: string) => request<Model>("POST", `/api/models/${segment(name)}/pull`),
  cancelPull: (name: string) => request<Model>("POST", `/api/models/${segment(name)}/pull/cancel`),
};

/** What to tell the person about a caught error. */
export function explain(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
