/** Messages and the runs that write answers, on the wire. */

import type { Chat, Parameters, Tuning } from "./chats";

export type MessageStatus = "waiting" | "complete" | "running" | "interrupted" | "stopped" | "failed";
export type RunStatus = "waiting" | "queued" | "running" | "complete" | "stopped" | "interrupted" | "failed";

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  cached_tokens: number;
  finish_reason: string | null;
  seed: number | null;
  first_token_seconds: number | null;
  decode_seconds: number | null;
  /** The message with which the prompt began; what is above it did not fit into the context. Null: the whole branch. */
  context_from?: string | null;
  context_tokens?: number | null;
  /** How long the model thought, if it did. */
  reasoning_seconds?: number | null;
}

export interface Failure {
  code: string;
  message: string;
}

export interface Message {
  id: string;
  chat_id: string;
  parent_id: string | null;
  role: "user" | "assistant";
  parts: { type: "text" | "reasoning"; text: string }[];
  status: MessageStatus;
  model: string | null;
  created_at: number;
  run_id: string | null;
  usage: Usage | null;
  error: Failure | null;
  /** What the answer was asked for with, the defaults of that time included. */
  parameters: Parameters | null;
  /** When the text was last changed in place. */
  edited_at: number | null;
}

/** A message's place in the tree without its text, whose size is given roughly in bytes. */
export type Node = Pick<Message, "id" | "parent_id" | "role" | "status" | "model" | "created_at" | "edited_at"> & {
  size: number;
};

export interface Run {
  id: string;
  chat_id: string;
  message_id: string;
  model: string;
  status: RunStatus;
  last_event: number;
  created_at: number;
}

/** A chat, the whole tree of its messages without texts, the messages that are shown first, and the open runs. */
export interface WholeChat {
  chat: Chat;
  tree: Node[];
  messages: Message[];
  runs: Run[];
}

export interface NewMessage {
  message: { id: string; parent_id: string | null; text: string };
  run: { id: string; message_id: string; model?: string } & Partial<Tuning>;
  /** What the chat is made with, if this is its first message. */
  chat?: Partial<Tuning> & { project_id?: string; temporary?: true };
}

/** A token of an answer, counted from 0, and the id of the one that is to stand there instead. */
export interface ContinueFrom {
  message_id: string;
  token: number;
  alternative: number;
}

export type NewRun =
  | ({ id: string; message_id: string; parent_id: string; model?: string } & Partial<Tuning>)
  | { id: string; message_id: string; continue_from: ContinueFrom }
  | { id: string; continue: string };

/** What both POST …/messages and POST …/runs answer. */
export interface Started {
  chat: Chat;
  messages: Message[];
  run: Run;
}

export function isOpen(status: RunStatus): boolean {
  return status === "queued" || status === "running";
}

/** What a message says; what was thought before it is no part of that. */
export function textOf(message: Message, type: "text" | "reasoning" = "text"): string {
  return message.parts.map((part) => (part.type === type ? part.text : "")).join("");
}
