/** What one does with the messages of a conversation besides sending: change, copy, fork, and what waits. */

import { api, ApiError, explain } from "../api";
import { branchTitle } from "../branchTitle";
import { newId } from "../ids";
import { router } from "../router.svelte";
import { drafts } from "../storage";
import { strings } from "../strings";
import { chats } from "./chats.svelte";
import type { Conversation } from "./conversation.svelte";
import { layout } from "./layout.svelte";
import type { ChatMessage } from "./message.svelte";
import { toasts } from "./toasts.svelte";

/** Why a change was not made. `elsewhere`: the text was changed in another tab; it can be saved all the same. */
export interface Refusal {
  reason: string;
  elsewhere: boolean;
}

async function refusal(work: () => Promise<void>): Promise<Refusal | null> {
  try {
    await work();
    return null;
  } catch (error) {
    const elsewhere = error instanceof ApiError && error.status === 409;
    return { reason: elsewhere ? strings.editing.elsewhere : explain(error), elsewhere };
  }
}

/** Changes a text where it stands; `since` is when it was last changed as far as the writer has seen. */
export function save(
  conversation: Conversation,
  message: ChatMessage,
  text: string,
  overwrite: boolean,
  since: number | null,
): Promise<Refusal | null> {
  return refusal(async () => {
    const body = { text, edited_at: since, ...(overwrite ? { overwrite } : {}) };
    conversation.messageChanged(await api.editMessage(message.id, body));
  });
}

/** Puts the text beside the message as another version, which is shown from then on. */
export function saveCopy(conversation: Conversation, message: ChatMessage, text: string): Promise<Refusal | null> {
  return refusal(async () => {
    const { chat, message: copy } = await api.copyMessage(message.id, { id: newId(), text });
    conversation.messageChanged(copy);
    conversation.chatChanged(chat);
  });
}

/** Makes a chat of the branch up to this message, and goes there. */
export async function fork(conversation: Conversation, message: ChatMessage): Promise<void> {
  try {
    const title = branchTitle(conversation.chat?.title || strings.sidebar.untitled, strings.editing.branchOf);
    const chat = await api.fork(conversation.id, { id: newId(), message_id: message.id, title });
    chats.changed(chat);
    router.go(chat.id);
    toasts.show(strings.editing.forked);
    layout.focusComposer();
  } catch (error) {
    toasts.show(explain(error), "error");
  }
}

/** The waiting answer of a waiting message. */
export function waitingRun(conversation: Conversation, message: ChatMessage): string | null {
  const answer = conversation.children.get(message.id)?.find(({ status }) => status === "waiting");
  return answer?.runId ?? null;
}

/** Sends a waiting message whose turn did not come by itself. */
export async function sendOn(conversation: Conversation, run: string): Promise<void> {
  try {
    conversation.runChanged(await api.sendOn(run));
  } catch (error) {
    toasts.show(explain(error), "error");
  }
}

/** Changes a message that waits. */
export function rewriteWaiting(conversation: Conversation, run: string, text: string): Promise<Refusal | null> {
  return refusal(async () => conversation.messageChanged(await api.rewriteWaiting(run, text)));
}

/** Takes a waiting message back: its text goes to where messages are written. */
export async function withdraw(conversation: Conversation, message: ChatMessage, run: string): Promise<void> {
  const { text, id } = message;
  const answer = conversation.children.get(id)?.find(({ runId }) => runId === run);
  try {
    await api.withdraw(run);
  } catch (error) {
    const late = error instanceof ApiError && error.status === 409;
    toasts.show(late ? strings.queue.late : explain(error), "error");
    return;
  }
  if (answer) conversation.messageDeleted(answer.id);
  conversation.messageDeleted(id);
  const typed = drafts.read(conversation.id);
  layout.fillComposer(typed === "" ? text : `${text}\n\n${typed}`);
}
