/** The application: what there is of it on this page, its connection, and who hears what the server tells. */

import { browserWorld, EventStream, type ConnectionState, type Listener } from "../events";
import { lookForNewer } from "../installed";
import { kept } from "../kept";
import { retryWaiting } from "../outbox";
import type { Change, ReadySession } from "../types";
import { chats } from "./chats.svelte";
import { CurrentChat } from "./currentChat.svelte";
import { licences } from "./licences.svelte";
import { models } from "./models.svelte";
import { preferences } from "./preferences.svelte";
import { presets } from "./presets.svelte";
import { projects } from "./projects.svelte";
import { SessionState } from "./session.svelte";

class App {
  connection = $state<ConnectionState>("connecting");

  readonly #listener: Listener = {
    event: (run, event) => this.chat.conversation?.runEvent(run, event),
    snapshot: (_run, message) => this.chat.conversation?.runSnapshot(message),
    unknown: () => void this.chat.conversation?.load(),
    change: (change) => this.#changed(change),
    held: (chat) => {
      if (this.chat.conversation?.id === chat) void this.chat.conversation.load();
    },
    reset: () => this.#reload(),
    state: (state) => this.#connectionChanged(state),
  };

  readonly events = new EventStream(this.#listener, browserWorld());
  readonly chat = new CurrentChat(this.events);
  readonly session = new SessionState({
    begin: (session) => this.#begin(session),
    pause: () => this.events.disconnect(),
    resume: () => this.events.connect(),
  });

  /** The cursor must be older than the lists it continues. */
  async #begin(session: ReadySession): Promise<void> {
    models.default = session.default_model;
    this.events.followLists(session.list_cursor);
    this.events.connect();
    this.chat.begin();
    await Promise.all([chats.load(), projects.load(), this.#loadModelChoices(), this.#loadPreferences()]);
  }

  #changed(change: Change): void {
    const open = this.chat.conversation;
    switch (change.kind) {
      case "chat":
        return this.chat.chatChanged(change.data);
      case "chat_deleted":
        return this.chat.gone([change.id]);
      case "message":
        if (open?.id === change.data.chat_id) open.messageChanged(change.data);
        return;
      case "message_deleted":
        return open?.messageDeleted(change.id);
      case "run":
        if (!this.chat.isTemporary(change.data.chat_id)) chats.runChanged(change.data);
        if (open?.id === change.data.chat_id) open.runChanged(change.data);
        return;
      case "project":
        return projects.changed(change.data);
      case "project_deleted":
        return projects.removed(change.id);
      case "preferences":
        return preferences.changed(change.data);
      case "model":
        return models.changed(change.data);
    }
  }

  #reload(): void {
    chats.forgetRuns();
    void chats.load();
    void projects.load();
    void models.load();
    void this.#loadModelChoices();
    void this.#loadPreferences();
    void this.chat.conversation?.load();
  }

  /** Without them the page is as the browser has it; they are asked for again when the connection is back. */
  async #loadPreferences(): Promise<void> {
    await preferences.load().catch(() => undefined);
  }

  /** What the person has chosen about models. Without it the server still asks for licences. */
  async #loadModelChoices(): Promise<void> {
    await Promise.all([licences.load(), presets.load()]).catch(() => undefined);
  }

  #connectionChanged(state: ConnectionState): void {
    this.connection = state;
    if (state === "open") {
      retryWaiting();
      // Progress and loading of models are not among the stored changes: they are asked for when they are heard of.
      void models.load();
      if (preferences.current === null) void this.#loadPreferences();
      lookForNewer();
      if (kept.used) {
        kept.used = false;
        void this.session.check();
        this.#reload();
      }
    } else if (state === "lost" && !this.session.locked) {
      // A session that ended closes the socket, as a server that went away does.
      void this.session.check();
      if (!models.loaded) void models.load();
    }
  }
}

export const app = new App();
