/** What the tab's WebSocket carries. */

import type { Preferences } from "./accounts";
import type { Chat, Project } from "./chats";
import type { Failure, Message, MessageStatus, Run, Usage } from "./messages";
import type { Model } from "./models";

export type RunEvent =
  | { kind: "started"; prompt_tokens: number; cached_tokens: number; seed: number | null }
  | { kind: "reasoning"; text: string }
  | { kind: "text"; text: string }
  | { kind: "end"; status: MessageStatus; usage: Usage | null; error: Failure | null };

export type Change =
  | { kind: "chat"; id: string; data: Chat }
  | { kind: "chat_deleted"; id: string; data: null }
  | { kind: "message"; id: string; data: Message }
  | { kind: "message_deleted"; id: string; data: null }
  | { kind: "run"; id: string; data: Run }
  | { kind: "preferences"; id: string; data: Preferences }
  | { kind: "project"; id: string; data: Project }
  | { kind: "project_deleted"; id: string; data: null }
  | { kind: "model"; id: string; data: Model };

export type ServerFrame =
  | { type: "snapshot"; run: string; seq: number; message: Message }
  | { type: "event"; run: string; seq: number; event: RunEvent }
  /** Without a cursor it is of a temporary chat, and not one of the lists' changes. */
  | { type: "change"; cursor: number | null; change: Change }
  | { type: "held"; chat: string }
  | { type: "reset"; cursor: number }
  | { type: "error"; error: Failure; run: string | null }
  | { type: "pong" };

export type ClientFrame =
  | { type: "follow"; run: string; after: number }
  | { type: "unfollow"; run: string }
  | { type: "lists"; after: number }
  | { type: "hold"; chat: string }
  | { type: "ping" };
