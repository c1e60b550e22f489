/** The open chat: its tree of messages, the branch that is shown, and what is being sent or written. */

import { api, ApiError, explain } from "../api";
import type { EventStream } from "../events";
import { newId } from "../ids";
import { chatPath, kept } from "../kept";
import { deliver, keep, pause, release, runIdOf, type Outgoing, type OutgoingMessage } from "../outbox";
import { childrenByParent, pathThrough, without } from "../tree";
import { isOpen, type Chat, type Message, type NewRun, type Node, type Run, type RunEvent, type Started, type Tuning } from "../types";
import { TextBuffer } from "./buffer";
import { copyOf } from "./copy";
import { ChatMessage } from "./message.svelte";
import { farthest, Texts } from "./texts";
import { toasts } from "./toasts.svelte";

type Followed = Pick<EventStream, "follow" | "unfollow" | "follows">;

/** Who wants to know what becomes of a conversation. */
export interface Owner {
  chatChanged(chat: Chat, conversation: Conversation): void;
  /** The server refused a new message; its text must go back to where it was typed. */
  refused(conversation: Conversation, text: string, reason: string): void;
}

export class Conversation {
  readonly id: string;
  state = $state<"loading" | "ready" | "missing" | "failed">("loading");
  error = $state<string | null>(null);
  chat = $state.raw<Chat | null>(null);
  messages = $state.raw<ChatMessage[]>([]);
  leafId = $state<string | null>(null);
  /** What was sent before the chat was here. It goes out as soon as that is, whether or not it is still on screen. */
  early = $state.raw<readonly OutgoingMessage[]>([]);

  readonly children = $derived(childrenByParent(this.messages));
  readonly path = $derived(pathThrough(this.messages, this.children, this.leafId));
  readonly last = $derived(this.path.at(-1) ?? null);
  /** The answer that is being written on this branch; what waits for its end hangs below it. */
  readonly writing = $derived(running(this.path.findLast(({ status }) => status !== "waiting")));

  #shown = false;
  /** Every message that the server has is known here. */
  #whole = false;
  /** The copy for when the server cannot be reached lacks what happened since. */
  #outdated = false;
  /** Where the chat is made that does not exist yet. */
  #projectId: string | null = null;
  #refreshing = false;
  #deleted = new Set<string>();
  /** Runs that this tab asked for and whose answer is not here yet. */
  #starting = new Set<string>();
  #stopping = new Set<string>();
  /** Choices of a branch that the server has not confirmed: until then, its own must not move what is shown. */
  #unconfirmed = 0;
  #dispatched = Promise.resolve();
  #buffer = new TextBuffer();
  #texts = new Texts(async (ids) => {
    const { messages, runs } = await api.messages(this.id, ids);
    this.#take(messages, runs);
    if (this.#outdated) this.#keep();
  });

  constructor(
    id: string,
    private readonly events: Followed,
    private readonly owner: Owner,
    /** It lives in the server's memory alone. */
    readonly temporary = false,
  ) {
    this.id = id;
  }

  get sending(): boolean {
    return this.#starting.size > 0 || this.early.length > 0;
  }

  /** A chat that does not exist on the server before its first message. */
  static fresh(events: Followed, owner: Owner, projectId: string | null, temporary = false): Conversation {
    const conversation = new Conversation(newId(), events, owner, temporary);
    conversation.#projectId = projectId;
    conversation.state = "ready";
    conversation.#whole = true;
    return conversation;
  }

  /** On screen from now on. */
  show(): void {
    this.#shown = true;
  }

  /** No longer on screen: its runs go on, unheard. */
  hide(): void {
    this.#shown = false;
    this.#buffer.flush();
    for (const message of this.messages) if (message.runId !== null) this.events.unfollow(message.runId);
  }

  /** Fetches everything; what was here and the server does not have is gone. `attempt` counts from 0. */
  async load(attempt = 0): Promise<void> {
    if (this.messages.length === 0) this.state = "loading";
    // What is sent, or heard of, while the answer is on its way may be newer than that.
    const before = new Set(this.messages.filter((message) => !message.pending).map(({ id }) => id));
    try {
      const { chat, tree, messages, runs } = await api.chat(this.id);
      const here = new Set(tree.map((node) => node.id));
      this.messages = this.messages.filter(({ id }) => here.has(id) || !before.has(id));
      this.#plant(tree);
      this.#merge(chat, messages, runs);
      this.state = "ready";
      this.#whole = true;
    } catch (error) {
      if (this.#starting.size > 0) this.state = "ready";
      else if (error instanceof ApiError && error.status < 500) this.state = "missing";
      else if (this.early.length > 0) return void pause(attempt).then(() => this.load(attempt + 1));
      else this.state = "failed";
      this.error = explain(error);
    }
    if (this.state === "ready") this.#sendEarly();
    else if (this.state === "missing") this.#refuseEarly();
  }

  /**
   * Has the texts of these messages here, for whoever shows, copies or sends them. What is gone on the server meanwhile
   * stays without text until its deletion is heard of. Throws what the request throws.
   */
  async ensure(messages: readonly ChatMessage[]): Promise<void> {
    await this.#texts.ensure(messages);
  }

  /** Gives back the memory of what is far from the message at this place of the branch. */
  forgetFarFrom(center: number): void {
    for (const message of farthest(this.path, center)) {
      if (!message.pending && message.status !== "running") message.forget();
    }
  }

  /** `tuning` is what the chat is made with, if it does not exist yet. */
  send(text: string, model: string, tuning?: Tuning): void {
    if (this.state === "ready") this.#sendBelow(this.last?.id ?? null, text, model, tuning);
    else this.adopt({ ...this.#compose(null, text, model), early: true });
  }

  /** An edit is a new message beside the old one, which stays as another version. */
  edit(message: ChatMessage, text: string, model: string): void {
    this.#sendBelow(message.parentId, text, model);
  }

  /** Answers the same message once more, as another version. */
  regenerate(answer: ChatMessage, model: string): void {
    if (answer.parentId === null) return;
    this.#start({ id: newId(), message_id: newId(), parent_id: answer.parentId, model });
  }

  /** Carries on an answer that ended early, in place. */
  resume(answer: ChatMessage): void {
    this.#start({ id: newId(), continue: answer.id });
  }

  /** Begins another version of an answer, the same up to a token and from there on with another one. */
  vary(answer: ChatMessage, token: number, alternative: number): void {
    this.#start({ id: newId(), message_id: newId(), continue_from: { message_id: answer.id, token, alternative } });
  }

  /** Sends what an earlier page left unsent. */
  adopt(entry: Outgoing): void {
    keep(entry);
    if (entry.kind === "message" && entry.early) {
      this.early = [...this.early, entry];
      return;
    }
    this.#starting.add(runIdOf(entry));
    this.#unconfirmed += 1;
    this.#stage(entry);
    // One after the other: what hangs below a message must not arrive before it.
    this.#dispatched = this.#dispatched.then(() => this.#dispatch(entry));
  }

  async stop(): Promise<void> {
    if (this.writing) await this.stopAnswer(this.writing);
  }

  /** Ends any answer of this chat that is being written. */
  async stopAnswer(answer: ChatMessage): Promise<void> {
    const runId = answer.runId;
    if (!runId) return;
    if (this.#starting.has(runId)) {
      this.#stopping.add(runId);
      return;
    }
    try {
      await api.stopRun(runId);
    } catch (error) {
      toasts.show(explain(error), "error");
    }
  }

  /** Shows the branch that the message is on, along its latest messages. */
  async choose(message: ChatMessage): Promise<void> {
    const leaf = pathThrough(this.messages, this.children, message.id).at(-1) ?? message;
    this.leafId = leaf.id;
    this.#unconfirmed += 1;
    let chat: Chat | null = null;
    try {
      chat = await api.patchChat(this.id, { leaf_id: leaf.id });
    } catch {
      // Which branch was shown last is a convenience: without the server it lasts until the next reload.
    }
    this.#unconfirmed -= 1;
    if (chat) this.chatChanged(chat);
  }

  async remove(message: ChatMessage): Promise<void> {
    try {
      await api.deleteMessage(message.id);
      this.messageDeleted(message.id);
    } catch (error) {
      toasts.show(explain(error), "error");
    }
  }

  // What the server tells.

  chatChanged(chat: Chat): void {
    this.#became(chat);
    this.#keep();
  }

  #became(chat: Chat): void {
    if (this.chat && chat.version < this.chat.version) return;
    this.chat = chat;
    if (this.#unconfirmed === 0) this.leafId = chat.leaf_id;
    this.owner.chatChanged(chat, this);
  }

  messageChanged(message: Message): void {
    if (this.#deleted.has(message.id)) return;
    const known = this.messages.find(({ id }) => id === message.id);
    if (known && message.status === "running" && this.#isHeard(message.run_id)) {
      // Its text comes by the run's own events, which are ahead of this.
      known.pending = known.delayed = false;
      return;
    }
    if (message.status !== "running" && message.run_id !== null) this.events.unfollow(message.run_id);
    if (known) {
      this.#buffer.drop(known);
      known.assign(message);
    } else {
      this.messages = [...this.messages, ChatMessage.from(message)];
    }
    if (message.status !== "running") this.#keep();
    else if (!this.#isHeard(message.run_id)) void this.#refresh();
  }

  messageDeleted(id: string): void {
    this.#deleted.add(id);
    const gone = this.messages.find((message) => message.id === id);
    if (!gone) return;
    if (this.leafId === id) this.leafId = gone.parentId;
    this.messages = without(this.messages, id);
    this.#keep();
  }

  runChanged(run: Run): void {
    if (isOpen(run.status) && !this.#isHeard(run.id)) void this.#refresh();
  }

  runEvent(runId: string, event: RunEvent): void {
    const message = this.messages.find((message) => message.runId === runId);
    if (!message) return;
    switch (event.kind) {
      case "started":
        message.started = true;
        break;
      case "reasoning":
      case "text":
        message.started = true;
        this.#buffer.append(message, event.kind, event.text);
        break;
      case "end":
        this.#buffer.flush();
        message.status = event.status;
        message.usage = event.usage;
        message.error = event.error;
        this.#keep();
    }
  }

  runSnapshot(message: Message): void {
    const known = this.messages.find(({ id }) => id === message.id);
    if (!known) return;
    this.#buffer.drop(known);
    known.assign(message);
    if (message.status !== "running") this.#keep();
    else if (!this.#isHeard(message.run_id)) void this.#refresh();
  }

  // Sending.

  #sendBelow(parentId: string | null, text: string, model: string, tuning?: Tuning): void {
    this.adopt(this.#compose(parentId, text, model, tuning));
  }

  #compose(parentId: string | null, text: string, model: string, tuning?: Tuning): OutgoingMessage {
    const chat = {
      ...tuning,
      ...(this.#projectId === null ? {} : { project_id: this.#projectId }),
      // Said with each message: none may be stored because the chat is over.
      ...(this.temporary ? { temporary: true as const } : {}),
    };
    const body = {
      message: { id: newId(), parent_id: parentId, text },
      run: { id: newId(), message_id: newId(), ...(model === "" ? {} : { model }) },
      ...(Object.keys(chat).length === 0 ? {} : { chat }),
    };
    return { chatId: this.id, createdAt: Date.now(), kind: "message", body };
  }

  /** The chat is here: each goes below what is last now, unless another tab has sent it already. */
  #sendEarly(): void {
    const entries = this.early;
    this.early = [];
    for (const { early: _, body, ...entry } of entries) {
      if (this.messages.some(({ id }) => id === body.message.id)) {
        release({ ...entry, body });
        continue;
      }
      const message = { ...body.message, parent_id: this.last?.id ?? null };
      const model = this.chat?.model;
      this.adopt({ ...entry, body: { ...body, message, run: { ...body.run, ...(model ? { model } : {}) } } });
    }
  }

  /** There is no such chat: what was sent to it is its writer's again. */
  #refuseEarly(): void {
    const entries = this.early;
    if (entries.length === 0) return;
    this.early = [];
    entries.forEach(release);
    this.owner.refused(this, entries.map(({ body }) => body.message.text).join("\n\n"), this.error ?? "");
  }

  #start(body: NewRun): void {
    this.adopt({ chatId: this.id, createdAt: Date.now(), kind: "run", body });
  }

  /** Shows at once what is about to be sent. */
  #stage(entry: Outgoing): void {
    const runId = runIdOf(entry);
    if (entry.kind === "message") {
      const { message, run } = entry.body;
      const asked = this.#stageMessage(message.id, "user", message.parent_id);
      asked.text = message.text;
      const answer = this.#stageMessage(run.message_id, "assistant", message.id);
      answer.begin(runId, run.model ?? null);
      const above = this.messages.find(({ id }) => id === message.parent_id);
      if (above?.status === "running" || above?.status === "waiting") asked.status = answer.status = "waiting";
      this.leafId = run.message_id;
    } else if ("continue" in entry.body) {
      const id = entry.body.continue;
      this.messages.find((message) => message.id === id)?.begin(runId, null);
    } else if ("continue_from" in entry.body) {
      const { message_id, continue_from } = entry.body;
      const source = this.messages.find((message) => message.id === continue_from.message_id);
      this.#stageMessage(message_id, "assistant", source?.parentId ?? null).begin(runId, source?.model ?? null);
      this.leafId = message_id;
    } else {
      const { message_id, parent_id, model } = entry.body;
      this.#stageMessage(message_id, "assistant", parent_id).begin(runId, model ?? null);
      this.leafId = message_id;
    }
  }

  #stageMessage(id: string, role: Message["role"], parentId: string | null): ChatMessage {
    // Later than its siblings, whatever this computer's clock says.
    const siblings = this.children.get(parentId) ?? [];
    const createdAt = Math.max(Date.now(), (siblings.at(-1)?.createdAt ?? 0) + 1);
    const message = new ChatMessage(id, role, parentId, createdAt);
    message.pending = true;
    this.messages = [...this.messages, message];
    return message;
  }

  async #dispatch(entry: Outgoing): Promise<void> {
    const runId = runIdOf(entry);
    const leafBefore = this.chat?.leaf_id ?? null;
    let started: Started | null = null;
    let refusal: unknown = null;
    try {
      started = await deliver(entry, () => {
        for (const message of this.messages) if (message.pending || message.runId === runId) message.delayed = true;
      });
    } catch (error) {
      refusal = error;
    }
    this.#starting.delete(runId);
    this.#unconfirmed -= 1;
    if (started) this.#acknowledge(started);
    else this.#withdraw(entry, leafBefore, explain(refusal));
    if (this.#stopping.delete(runId) && started) void this.stop();
  }

  #acknowledge({ chat, messages, run }: Started): void {
    this.#merge(chat, messages, [run]);
    this.#keep();
  }

  #withdraw(entry: Outgoing, leafBefore: string | null, reason: string): void {
    const staged = (message: ChatMessage): boolean =>
      entry.kind === "message"
        ? message.id === entry.body.message.id || message.id === entry.body.run.message_id
        : "message_id" in entry.body && message.id === entry.body.message_id;
    this.messages = this.messages.filter((message) => !staged(message));
    this.leafId = leafBefore;
    if (entry.kind === "message") {
      this.owner.refused(this, entry.body.message.text, reason);
    } else {
      toasts.show(reason, "error");
      void this.load();
    }
  }

  // Keeping up.

  /** Has the copy for when the server cannot be reached say what is known now; a chat that leaves no trace has none. */
  #keep(): void {
    if (this.temporary || !this.#whole) return;
    this.#outdated = true;
    kept.renew(chatPath(this.id), () => {
      const copy = this.chat && copyOf(this.chat, this.messages, this.path);
      if (copy !== null) this.#outdated = false;
      return copy;
    });
  }

  #isHeard(runId: string | null): boolean {
    return runId !== null && (this.events.follows(runId) || this.#starting.has(runId));
  }

  #merge(chat: Chat, messages: readonly Message[], runs: readonly Run[]): void {
    this.#take(messages, []);
    this.#became(chat);
    this.#follow(runs);
  }

  /** Places what the tree has; a text that did not come with it may have changed since it came. */
  #plant(tree: readonly Node[]): void {
    const known = new Map(this.messages.map((message) => [message.id, message]));
    const added: ChatMessage[] = [];
    for (const node of tree) {
      if (this.#deleted.has(node.id)) continue;
      const existing = known.get(node.id);
      if (!existing) added.push(ChatMessage.at(node));
      else if (!existing.pending && !this.#isHeard(existing.runId)) {
        existing.place(node);
        existing.stale = existing.loaded;
      }
    }
    if (added.length > 0) this.messages = [...this.messages, ...added];
  }

  #take(messages: readonly Message[], runs: readonly Run[]): void {
    const known = new Map(this.messages.map((message) => [message.id, message]));
    const added: ChatMessage[] = [];
    for (const message of messages) {
      if (this.#deleted.has(message.id)) continue;
      const existing = known.get(message.id);
      if (!existing) added.push(ChatMessage.from(message));
      else if (!this.#isHeard(message.run_id)) {
        this.#buffer.drop(existing);
        existing.assign(message);
      }
    }
    if (added.length > 0) this.messages = [...this.messages, ...added];
    this.#follow(runs);
  }

  #follow(runs: readonly Run[]): void {
    if (this.#shown) for (const run of runs) if (isOpen(run.status)) this.events.follow(run.id, run.last_event);
  }

  /** Learns of a run that another tab started: where its text stands, and from which event to follow. */
  async #refresh(): Promise<void> {
    if (this.#refreshing || !this.#shown) return;
    this.#refreshing = true;
    try {
      const { chat, tree, messages, runs } = await api.chat(this.id);
      this.#plant(tree);
      this.#merge(chat, messages, runs);
    } catch {
      // The connection is going: reconnecting brings the change once more, or a reset.
    } finally {
      this.#refreshing = false;
    }
  }
}

function running(message: ChatMessage | undefined): ChatMessage | null {
  return message?.status === "running" ? message : null;
}
