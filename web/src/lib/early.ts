/**
 * What the page asks the server for before its scripts are here: who is there, and then the chat that the address
 * names. Each answer is taken once, by the request that would have asked for it.
 */

import type { Session } from "./types";

const SESSION = "/api/session";
const TIMEOUT_MS = 30_000;

/** By path; null where there was no answer, and it has to be asked for as usual. */
const asked = new Map<string, Promise<Response | null>>();

export function askEarly(): void {
  asked.set(SESSION, begin());
}

async function begin(): Promise<Response | null> {
  const answer = await ask(SESSION, {});
  const id = /^\/chat\/([\w-]+)\/?$/.exec(location.pathname)?.[1];
  if (id === undefined || !answer?.ok) return answer;
  const { user } = (await answer.clone().json()) as Session;
  // Before anything else that is asked for in the user's name.
  if (user !== null) asked.set(`/api/chats/${id}`, ask(`/api/chats/${id}`, { "X-Myna-User": user.id }));
  return answer;
}

async function ask(path: string, headers: Record<string, string>): Promise<Response | null> {
  return fetch(path, { headers, signal: AbortSignal.timeout(TIMEOUT_MS) }).catch(() => null);
}

/** The early answer to such a request, if there is one that nobody has taken. */
export function takeEarly(method: string, path: string): Promise<Response | null> | undefined {
  if (method !== "GET") return undefined;
  const answer = asked.get(path);
  asked.delete(path);
  return answer;
}
