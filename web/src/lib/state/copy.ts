/** A chat as the server would tell it, made of what the page has of it: kept for when the server cannot be asked. */

import type { Chat, Message, Node, WholeChat } from "../types";
import type { ChatMessage } from "./message.svelte";

/** Characters of the texts in one copy: a long chat has the end of the shown branch, like the server's own answer. */
const MOST_TEXT = 400_000;

/** What a copy has of a message. */
export type Copied = Omit<ChatMessage, "place" | "assign" | "forget" | "begin" | "started" | "delayed" | "stale">;

/**
 * `path` is the branch that is shown. What the server has not confirmed is left out, since the outbox keeps it. Null where
 * the end of the branch is not here: what was kept before says more.
 */
export function copyOf(chat: Chat, messages: readonly Copied[], path: readonly Copied[]): WholeChat | null {
  const stored = messages.filter((message) => !message.pending);
  const shown = path.filter((message) => !message.pending);
  if (shown.at(-1)?.loaded === false) return null;
  let room = MOST_TEXT;
  const texts: Copied[] = [];
  for (const message of new Set([...shown.reverse(), ...stored])) {
    if (!message.loaded) continue;
    room -= sizeOf(message);
    if (room < 0 && texts.length > 0) break;
    texts.push(message);
  }
  // Whoever reads it follows no run: the server is not there, and tells anew what runs when it is.
  return { chat, tree: stored.map(toNode), messages: texts.map((message) => toMessage(message, chat.id)), runs: [] };
}

function sizeOf(message: Copied): number {
  return message.loaded ? message.text.length + message.reasoning.length : message.size;
}

function toNode(message: Copied): Node {
  return {
    id: message.id,
    parent_id: message.parentId,
    role: message.role,
    status: message.status,
    model: message.model,
    created_at: message.createdAt,
    edited_at: message.editedAt,
    size: sizeOf(message),
  };
}

function toMessage(message: Copied, chatId: string): Message {
  const { size: _, ...place } = toNode(message);
  const thought: Message["parts"] = message.reasoning === "" ? [] : [{ type: "reasoning", text: message.reasoning }];
  return {
    ...place,
    chat_id: chatId,
    parts: [...thought, { type: "text", text: message.text }],
    run_id: message.runId,
    usage: message.usage,
    error: message.error,
    parameters: message.parameters,
  };
}
