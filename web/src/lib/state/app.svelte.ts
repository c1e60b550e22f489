/** The application: the session, the connection, which conversation is open, and who hears what the server tells. */

import { api, ApiError, explain, NetworkError, speakFor } from "../api";
import { browserWorld, EventStream, type ConnectionState, type Listener } from "../events";
import { gate } from "../gate";
import { lookForNewer } from "../installed";
import { kept } from "../kept";
import { retryWaiting, waiting } from "../outbox";
import { router } from "../router.svelte";
import { belongTo, drafts, forget, leaveNoTrace, temporaryChat } from "../storage";
import { strings } from "../strings";
import { isReady, type Change, type Chat, type ReadySession, type Session, type Tuning, type User } from "../types";
import { chats } from "./chats.svelte";
import { Conversation, type Owner } from "./conversation.svelte";
import { licences } from "./licences.svelte";
import { models } from "./models.svelte";
import { preferences } from "./preferences.svelte";
import { presets } from "./presets.svelte";
import { projects } from "./projects.svelte";
import { toasts } from "./toasts.svelte";

/** Whose draft it is while the chat does not exist yet. */
export const NEW_CHAT = "new";
/** As what the settings of the chat that does not exist yet are kept, beside its draft. */
const NEW_TUNING = "new.tuning";
const RETRY_START_MS = 3000;

/** The tabs of one browser share what it is signed in as, and tell each other when that changes. */
const tabs = new BroadcastChannel("myna");
type Word = "changed" | "left";

class App {
  session = $state.raw<Session | null>(null);
  /** The session ended while the page was in use: it stays as it is, and goes on when its user is back. */
  locked = $state(false);
  startError = $state<string | null>(null);
  connection = $state<ConnectionState>("connecting");
  conversation = $state.raw<Conversation | null>(null);
  /** Whether the chat on the first screen, there or to be, is a temporary one. */
  temporary = $state(false);
  /** A message that the server refused: its text is back in the composer of `subject`. */
  refusal = $state.raw<{ subject: string; text: string; reason: string } | null>(null);

  /** Conversations that must not be forgotten, because something of theirs is still being sent. */
  #kept = new Map<string, Conversation>();
  #starting = false;
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

  readonly #listener: Listener = {
    event: (run, event) => this.conversation?.runEvent(run, event),
    snapshot: (_run, message) => this.conversation?.runSnapshot(message),
    unknown: () => void this.conversation?.load(),
    change: (change) => this.#changed(change),
    held: (chat) => {
      if (this.conversation?.id === chat) void this.conversation.load();
    },
    reset: () => this.#reload(),
    state: (state) => this.#connectionChanged(state),
  };

  readonly events = new EventStream(this.#listener, browserWorld());

  constructor() {
    gate.whenClosed(() => void this.#notSignedIn());
    gate.whenRefused(() => void this.check());
    tabs.onmessage = ({ data }: MessageEvent<Word>) => (data === "left" ? this.#forgetAndStartAnew() : void this.check());
    // The browser may keep a page that was left, and show it again to somebody else.
    window.addEventListener("pageshow", (event) => event.persisted && location.reload());
  }

  /** Whose page this is; null until somebody is known to be there. */
  get user(): User | null {
    return this.session?.user ?? null;
  }

  /** Fetches the session, and if that is somebody's, everything else. */
  async start(): Promise<void> {
    if (this.#starting || this.session) return;
    this.#starting = true;
    try {
      const session = await api.session();
      this.startError = null;
      if (isReady(session)) return await this.#begin(session);
      this.session = session;
      await kept.clear();
    } catch (error) {
      const earlier = error instanceof NetworkError ? await kept.session<ReadySession>() : null;
      if (earlier !== null) return await this.#begin(earlier);
      this.startError = explain(error);
      setTimeout(() => void this.start(), RETRY_START_MS);
    } finally {
      this.#starting = false;
    }
  }

  /** What signing in and making the first account answer: the page begins, or goes on. */
  async signedIn(session: Session): Promise<void> {
    tabs.postMessage("changed" satisfies Word);
    await this.#became(session);
  }

  /** Signs out in this browser. What was typed in it and not sent goes too: the next person shall not find it. */
  async signOut(): Promise<void> {
    try {
      await api.signOut();
    } catch (error) {
      // Who is signed out already has what was asked for.
      if (!(error instanceof ApiError) || error.status !== 401) return toasts.show(explain(error), "error");
    }
    tabs.postMessage("left" satisfies Word);
    this.#forgetAndStartAnew();
  }

  /** Ends the session, so that its user shows once more who they are; the page goes on where it is then. */
  async signInAgain(): Promise<void> {
    await api.signOut();
    await this.check();
  }

  /** The account is deleted, and this browser forgets what it has of it. */
  left(): void {
    tabs.postMessage("left" satisfies Word);
    this.#forgetAndStartAnew();
  }

  /** Asks anew who is there, since something says that this may have changed. */
  async check(): Promise<void> {
    try {
      await this.#became(await api.session());
    } catch {
      // Without the server nothing is known; its coming back is noticed.
    }
  }

  async #became(session: Session): Promise<void> {
    const before = this.user;
    if (!isReady(session)) {
      if (before === null) this.session = session;
      else if (session.state === "sign_in") this.#lock();
      else this.#startAnew();
    } else if (before === null) {
      await this.#begin(session);
    } else if (before.id !== session.user.id) {
      this.#startAnew();
    } else {
      if (before.role !== session.user.role) toasts.show(strings.account.refusedNow);
      this.session = session;
      this.locked = false;
      void kept.begin(session.user.id, session);
      this.events.connect();
      gate.open();
    }
  }

  /** The cursor must be older than the lists it continues. */
  async #begin(session: ReadySession): Promise<void> {
    // The server sends who opens its reference without a session here first.
    const then = new URLSearchParams(location.search).get("then");
    if (then !== null && /^\/docs(?:\/\w*)?$/.test(then)) return location.replace(then + location.hash);
    belongTo(session.user.id);
    speakFor(session.user.id);
    this.session = session;
    kept.begin(session.user.id, session);
    this.#tuned = drafts.read(NEW_TUNING) !== "";
    models.default = session.default_model;
    this.events.followLists(session.list_cursor);
    this.events.connect();
    // What an earlier page left unsent.
    for (const entry of waiting()) this.#keep(entry.chatId).adopt(entry);
    this.#resumeTemporary();
    this.show(router.chatId);
    for (const each of this.#kept.values()) if (each.early.length > 0 && each !== this.conversation) void each.load();
    await Promise.all([chats.load(), projects.load(), this.#loadModelChoices(), this.#loadPreferences()]);
  }

  /** A request was not answered for want of a session; or its user may now do less, and is still signed in. */
  async #notSignedIn(): Promise<void> {
    await this.check();
    if (gate.closed) this.#lock();
  }

  /** What was typed stays for its user; what the server told goes at once, for who was signed out may be gone for good. */
  #lock(): void {
    this.locked = true;
    void kept.clear();
    this.events.disconnect();
  }

  #forgetAndStartAnew(): void {
    forget();
    void kept.forget().then(() => this.#startAnew());
  }

  /** Somebody else: nothing that is on this page or in its memory is theirs. */
  #startAnew(): void {
    location.replace("/");
  }

  /** Opens a chat, or with null the first screen. */
  show(chatId: string | null): void {
    if (this.user === null) return;
    if (chatId !== null) this.endTemporary();
    else if (this.conversation?.temporary) return;
    if ((this.conversation?.id ?? null) === chatId) return;
    this.#leave();
    if (chatId === null) return;
    const conversation = this.#kept.get(chatId) ?? new Conversation(chatId, this.events, this.#owner);
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
    if (left.sending && !left.temporary) this.#kept.set(left.id, left);
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

  /** Chats that were deleted here. */
  gone(ids: readonly string[]): void {
    chats.removed(...ids);
    for (const id of ids) this.#gone(id);
  }

  #gone(chatId: string): void {
    if (this.#isTemporary(chatId)) {
      this.endTemporary();
      toasts.keep(strings.temporary.over);
      return;
    }
    chats.removed(chatId);
    drafts.write(chatId, "");
    kept.drop(chatId);
    this.#kept.delete(chatId);
    if (this.conversation?.id !== chatId) return;
    this.#leave();
    router.go(null, { replace: true });
  }

  /** Whether it is the temporary chat, which is in no list. */
  #isTemporary(chatId: string): boolean {
    return this.conversation?.temporary === true && this.conversation.id === chatId;
  }

  #chatChanged(chat: Chat): void {
    if (!this.#isTemporary(chat.id)) chats.changed(chat);
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
        if (!this.#isTemporary(change.data.chat_id)) chats.runChanged(change.data);
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
    void this.conversation?.load();
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
        void this.check();
        this.#reload();
      }
    } else if (state === "lost" && !this.locked) {
      // A session that ended closes the socket, as a server that went away does.
      void this.check();
      if (!models.loaded) void models.load();
    }
  }
}

export const app = new App();
