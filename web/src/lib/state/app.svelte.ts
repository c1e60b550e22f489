/** The application: the session, the connection, which conversation is open, and who hears what the server tells. */

import { api, explain } from "../api";
import { browserWorld, EventStream, type ConnectionState, type Listener } from "../events";
import { retryWaiting, waiting } from "../outbox";
import { router } from "../router.svelte";
import { drafts } from "../storage";
import { strings } from "../strings";
import type { Change, Chat, Session } from "../types";
import { chats } from "./chats.svelte";
import { Conversation, type Owner } from "./conversation.svelte";
import { models } from "./models.svelte";
import { toasts } from "./toasts.svelte";

/** Whose draft it is while the chat does not exist yet. */
export const NEW_CHAT = "new";
const RETRY_START_MS = 3000;

class App {
  session = $state.raw<Session | null>(null);
  startError = $state<string | null>(null);
  connection = $state<ConnectionState>("connecting");
  conversation = $state.raw<Conversation | null>(null);
  /** A message that the server refused: its text is back in the composer of `subject`. */
  refusal = $state.raw<{ subject: string; text: string; reason: string } | null>(null);

  /** Conversations that must not be forgotten, because something of theirs is still being sent. */
  #kept = new Map<string, Conversation>();
  /** What an earlier page left unsent; what this page sends is not among it. */
  #left = waiting();
  #starting = false;

  readonly #owner: Owner = {
    chatChanged: (chat) => chats.changed(chat),
    refused: (conversation, text, reason) => this.#refused(conversation, text, reason),
  };

  readonly #listener: Listener = {
    event: (run, event) => this.conversation?.runEvent(run, event),
    snapshot: (_run, message) => this.conversation?.runSnapshot(message),
    unknown: () => void this.conversation?.load(),
    change: (change) => this.#changed(change),
    reset: () => this.#reload(),
    state: (state) => this.#connectionChanged(state),
  };

  readonly events = new EventStream(this.#listener, browserWorld());

  /** Fetches the session, then everything else: the cursor must be older than the lists it continues. */
  async start(): Promise<void> {
    if (this.#starting || this.session) return;
    this.#starting = true;
    try {
      const session = await api.session();
      this.session = session;
      this.startError = null;
      models.default = session.default_model;
      this.events.followLists(session.list_cursor);
      this.events.connect();
      for (const entry of this.#left.splice(0)) this.#keep(entry.chatId).adopt(entry);
      this.show(router.chatId);
      await Promise.all([chats.load(), models.load()]);
    } catch (error) {
      this.startError = explain(error);
      setTimeout(() => void this.start(), RETRY_START_MS);
    } finally {
      this.#starting = false;
    }
  }

  /** Opens a chat, or with null the first screen. */
  show(chatId: string | null): void {
    if (!this.session || (this.conversation?.id ?? null) === chatId) return;
    this.#leave();
    if (chatId === null) return;
    const conversation = this.#kept.get(chatId) ?? new Conversation(chatId, this.events, this.#owner);
    this.conversation = conversation;
    conversation.show();
    void conversation.load();
  }

  send(text: string): void {
    const model = this.model;
    this.refusal = null;
    if (!this.conversation) {
      const conversation = Conversation.fresh(this.events, this.#owner);
      this.conversation = conversation;
      conversation.show();
      conversation.send(text, model);
      router.go(conversation.id);
    } else {
      this.conversation.send(text, model);
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

  async rename(chat: Chat, title: string): Promise<void> {
    try {
      this.#chatChanged(await api.patchChat(chat.id, { title }));
    } catch (error) {
      toasts.show(`${strings.errors.rename} ${explain(error)}`, "error");
    }
  }

  async remove(chat: Chat): Promise<void> {
    chats.removed(chat.id);
    try {
      await api.deleteChat(chat.id);
      this.#gone(chat.id);
    } catch (error) {
      chats.restored(chat);
      toasts.show(`${strings.errors.remove} ${explain(error)}`, "error");
    }
  }

  #leave(): void {
    const left = this.conversation;
    if (!left) return;
    left.hide();
    if (left.sending) this.#kept.set(left.id, left);
    else this.#kept.delete(left.id);
    this.conversation = null;
  }

  #keep(chatId: string): Conversation {
    let conversation = this.#kept.get(chatId);
    if (!conversation) {
      conversation = new Conversation(chatId, this.events, this.#owner);
      this.#kept.set(chatId, conversation);
    }
    return conversation;
  }

  /** A refused message goes back into the composer it came from; a chat that never came to be is left again. */
  #refused(conversation: Conversation, text: string, reason: string): void {
    const neverWas = conversation.messages.length === 0 && conversation.chat === null;
    const subject = neverWas ? NEW_CHAT : conversation.id;
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

  #gone(chatId: string): void {
    chats.removed(chatId);
    drafts.write(chatId, "");
    this.#kept.delete(chatId);
    if (this.conversation?.id !== chatId) return;
    this.#leave();
    router.go(null, { replace: true });
  }

  #chatChanged(chat: Chat): void {
    chats.changed(chat);
    if (this.conversation?.id === chat.id) this.conversation.chatChanged(chat);
  }

  #changed(change: Change): void {
    const open = this.conversation;
    switch (change.kind) {
      case "chat":
        return this.#chatChanged(change.data);
      case "chat_deleted":
        return this.#gone(change.id);
      case "message":
        if (open?.id === change.data.chat_id) open.messageChanged(change.data);
        return;
      case "message_deleted":
        return open?.messageDeleted(change.id);
      case "run":
        chats.runChanged(change.data);
        if (open?.id === change.data.chat_id) open.runChanged(change.data);
        return;
      case "model":
        return models.changed(change.data);
    }
  }

  #reload(): void {
    chats.forgetRuns();
    void chats.load();
    void models.load();
    void this.conversation?.load();
  }

  #connectionChanged(state: ConnectionState): void {
    this.connection = state;
    if (state === "open") {
      retryWaiting();
      // Progress and loading of models are not among the stored changes.
      void models.load();
    }
  }
}

export const app = new App();
