/**
 * The chat on the screen, there or to be: which one it is, what is sent in it, and as what a temporary one begins and ends.
 */

import { api, explain } from "../api";
import type { EventStream } from "../events";
import { kept } from "../kept";
import { waiting } from "../outbox";
import { router } from "../router.svelte";
import { drafts, leaveNoTrace, temporaryChat } from "../storage";
import { strings } from "../strings";
import type { Chat, Tuning } from "../types";
import { chats } from "./chats.svelte";
import { Conversation, type Owner } from "./conversation.svelte";
import { models } from "./models.svelte";
import { presets } from "./presets.svelte";
import { projects } from "./projects.svelte";
import { toasts } from "./toasts.svelte";

/** Whose draft it is while the chat does not exist yet. */
export const NEW_CHAT = "new";
/** As what the settings of the chat that does not exist yet are kept, beside its draft. */
const NEW_TUNING = "new.tuning";

export class CurrentChat {
  /** Null on the first screen, for a chat that does not exist yet. */
  conversation = $state.raw<Conversation | null>(null);
  /** Whether the chat on the first screen, there or to be, is a temporary one. */
  temporary = $state(false);
  /** A message that the server refused: its text is back in the composer of `subject`. */
  refusal = $state.raw<{ subject: string; text: string; reason: string } | null>(null);

  /** Conversations that were left, and must not be forgotten, because something of theirs is still being sent. */
  #sending = new Map<string, Conversation>();
  /** There are settings for the next new chat. */
  #tuned = $state(false);

  readonly #owner: Owner = {
    chatChanged: (chat, conversation) => {
      if (!conversation.temporary) chats.changed(chat);
      else if (conversation === this.conversation) this.#hold(chat.id);
      else void api.deleteChat(chat.id).catch(() => undefined); // left before the server had made it
    },
    refused: (conversation, text, reason) => this.#refused(conversation, text, reason),
  };

  constructor(private readonly events: EventStream) {}

  /** Goes on with what an earlier page of the same person left: unsent messages, a temporary chat, settings. */
  begin(): void {
    this.#tuned = drafts.read(NEW_TUNING) !== "";
    for (const entry of waiting()) this.#keep(entry.chatId).adopt(entry);
    this.#resumeTemporary();
    this.show(router.chatId);
    for (const each of this.#sending.values()) if (each.early.length > 0 && each !== this.conversation) void each.load();
  }

  /** Opens a chat, or with null the first screen. */
  show(chatId: string | null): void {
    if (chatId !== null) this.endTemporary();
    else if (this.conversation?.temporary) return;
    if ((this.conversation?.id ?? null) === chatId) return;
    this.#leave();
    if (chatId === null) return;
    const conversation = this.#sending.get(chatId) ?? new Conversation(chatId, this.events, this.#owner);
    this.conversation = conversation;
    conversation.show();
    void conversation.load();
  }

  /** The first screen, for a chat that does not exist yet. */
  newChat(): void {
    this.endTemporary();
    router.go(null);
  }

  toggleTemporary(): void {
    if (this.temporary) this.newChat();
    else this.#beginTemporary();
  }

  /** What was typed for a new chat is for this one; it is stored no longer. */
  #beginTemporary(): void {
    const typed = drafts.read(NEW_CHAT);
    drafts.write(NEW_CHAT, "");
    leaveNoTrace(true);
    drafts.write(NEW_CHAT, typed);
    projects.next = null;
    this.refusal = null;
    this.temporary = true;
    router.go(null);
  }

  /** The page was loaded anew in a tab that has a temporary chat. */
  #resumeTemporary(): void {
    const id = temporaryChat.read();
    if (id === null) return;
    if (router.path !== "/") return this.#forgetTemporary(id);
    leaveNoTrace(true);
    kept.spare(id);
    this.temporary = true;
    this.conversation = new Conversation(id, this.events, this.#owner, true);
    this.conversation.show();
    this.events.hold(id);
  }

  /** Leaves the temporary chat, if there is one, for good. What was typed before its first message stays typed. */
  endTemporary(): void {
    if (!this.temporary) return;
    const left = this.conversation?.temporary ? this.conversation : null;
    const typed = left === null ? drafts.read(NEW_CHAT) : "";
    this.temporary = false;
    leaveNoTrace(false);
    if (typed !== "") drafts.write(NEW_CHAT, typed);
    if (left === null) return;
    this.#leave();
    this.refusal = null;
    this.#forgetTemporary(left.id);
  }

  #forgetTemporary(id: string): void {
    temporaryChat.write(null);
    this.events.release();
    // Without an answer it is over all the same, some time after this tab holds it no longer.
    void api.deleteChat(id).catch(() => undefined);
  }

  /** It exists on the server: this tab keeps it there. */
  #hold(id: string): void {
    temporaryChat.write(id);
    this.events.hold(id);
  }

  send(text: string): void {
    const model = this.model;
    this.refusal = null;
    if (!this.conversation) {
      const conversation = Conversation.fresh(this.events, this.#owner, projects.next, this.temporary);
      if (this.temporary) kept.spare(conversation.id);
      projects.next = null;
      this.conversation = conversation;
      conversation.show();
      conversation.send(text, model, this.tuning);
      drafts.write(NEW_TUNING, "");
      this.#tuned = false;
      if (!this.temporary) router.go(conversation.id);
    } else {
      this.conversation.send(text, model);
    }
  }

  /** What the model of the next message is told, and how it is asked. */
  get tuning(): Tuning {
    const chat = this.conversation?.chat;
    if (chat) return { system_prompt: chat.system_prompt, parameters: chat.parameters };
    const typed = drafts.read(NEW_TUNING);
    if (this.#tuned && typed !== "") return JSON.parse(typed) as Tuning;
    const { system_prompt = null, parameters = null } = presets.default ?? {};
    return { system_prompt, parameters };
  }

  /** Asks this chat's model, or that of the next new chat, in another way from now on. */
  async tune(tuning: Tuning): Promise<void> {
    const conversation = this.conversation;
    if (conversation?.chat) {
      conversation.chatChanged(await api.patchChat(conversation.id, tuning));
    } else {
      drafts.write(NEW_TUNING, JSON.stringify(tuning));
      this.#tuned = true;
    }
  }

  /** The model that the next message goes to. */
  get model(): string {
    return this.conversation?.chat?.model ?? models.preferred;
  }

  async chooseModel(name: string): Promise<void> {
    models.preferred = name;
    const conversation = this.conversation;
    if (!conversation?.chat) return;
    try {
      conversation.chatChanged(await api.patchChat(conversation.id, { model: name }));
    } catch (error) {
      toasts.show(explain(error), "error");
    }
  }

  #leave(): void {
    const left = this.conversation;
    if (!left) return;
    left.hide();
    if (left.sending && !left.temporary) this.#sending.set(left.id, left);
    else this.#sending.delete(left.id);
    this.conversation = null;
  }

  #keep(chatId: string): Conversation {
    let conversation = this.#sending.get(chatId);
    if (!conversation) {
      conversation = new Conversation(chatId, this.events, this.#owner);
      this.#sending.set(chatId, conversation);
    }
    return conversation;
  }

  /** A refused message goes back into the composer it came from; a chat that never came to be is left again. */
  #refused(conversation: Conversation, text: string, reason: string): void {
    const neverWas = conversation.messages.length === 0 && conversation.chat === null;
    if (conversation.temporary && conversation !== this.conversation) return; // it was left, and is gone
    const subject = neverWas || conversation.temporary ? NEW_CHAT : conversation.id;
    const typed = drafts.read(subject);
    drafts.write(subject, typed === "" ? text : `${text}\n\n${typed}`);
    if (this.conversation === conversation) {
      if (neverWas) {
        this.#leave();
        router.go(null, { replace: true });
      }
      this.refusal = { subject, text: drafts.read(subject), reason };
    } else {
      toasts.show(reason, "error");
    }
  }

  /** Chats that are deleted. */
  gone(ids: readonly string[]): void {
    chats.removed(...ids);
    for (const id of ids) this.#gone(id);
  }

  #gone(chatId: string): void {
    if (this.isTemporary(chatId)) {
      this.endTemporary();
      toasts.keep(strings.temporary.over);
      return;
    }
    drafts.write(chatId, "");
    kept.drop(chatId);
    this.#sending.delete(chatId);
    if (this.conversation?.id !== chatId) return;
    this.#leave();
    router.go(null, { replace: true });
  }

  /** Whether it is the temporary chat, which is in no list. */
  isTemporary(chatId: string): boolean {
    return this.conversation?.temporary === true && this.conversation.id === chatId;
  }

  /** As the server, or an answer of it, says that a chat is now. */
  chatChanged(chat: Chat): void {
    if (!this.isTemporary(chat.id)) chats.changed(chat);
    if (this.conversation?.id === chat.id) this.conversation.chatChanged(chat);
  }
}
