/** One message as the page shows it; its fields are reactive each by itself, so that a token redraws one answer. */

import { textOf, type Failure, type Message, type MessageStatus, type Node, type Parameters, type Usage } from "../types";
import type { TreeNode } from "../tree";

export class ChatMessage implements TreeNode {
  readonly id: string;
  readonly role: Message["role"];
  parentId = $state<string | null>(null);
  createdAt = $state(0);
  text = $state("");
  /** What the model thought before it answered. */
  reasoning = $state("");
  status = $state<MessageStatus>("complete");
  model = $state<string | null>(null);
  runId = $state<string | null>(null);
  usage = $state.raw<Usage | null>(null);
  error = $state.raw<Failure | null>(null);
  /** What it was asked for with. */
  parameters = $state.raw<Parameters | null>(null);
  /** When its text was last changed in place. */
  editedAt = $state<number | null>(null);
  /** The engine has begun with it: no longer waiting for its turn. */
  started = $state(false);
  /** Made here and not yet acknowledged by the server. */
  pending = $state(false);
  /** An attempt to send it got no answer. */
  delayed = $state(false);
  /** Its text is here; until then only its place in the tree is known (`Conversation.ensure`). */
  loaded = $state(true);
  /** The text here may be out of date. */
  stale = false;
  /** Of its text, roughly in bytes. */
  size = 0;

  constructor(id: string, role: Message["role"], parentId: string | null, createdAt: number) {
    this.id = id;
    this.role = role;
    this.parentId = parentId;
    this.createdAt = createdAt;
  }

  static from(message: Message): ChatMessage {
    const made = new ChatMessage(message.id, message.role, message.parent_id, message.created_at);
    made.assign(message);
    return made;
  }

  static at(node: Node): ChatMessage {
    const made = new ChatMessage(node.id, node.role, node.parent_id, node.created_at);
    made.loaded = false;
    made.place(node);
    return made;
  }

  /** What the tree says of it. */
  place(node: Node): void {
    this.parentId = node.parent_id;
    this.createdAt = node.created_at;
    this.status = node.status;
    this.model = node.model;
    this.size = node.size;
  }

  /** Everything that the server says of it, the text included. */
  assign(message: Message): void {
    this.parentId = message.parent_id;
    this.createdAt = message.created_at;
    this.text = textOf(message);
    this.reasoning = textOf(message, "reasoning");
    this.size = this.text.length + this.reasoning.length;
    this.loaded = true;
    this.stale = false;
    this.status = message.status;
    this.model = message.model;
    this.runId = message.run_id;
    this.usage = message.usage;
    this.error = message.error;
    this.parameters = message.parameters ?? null;
    this.editedAt = message.edited_at;
    this.pending = false;
    this.delayed = false;
  }

  /** Gives its text away, which can be fetched again. */
  forget(): void {
    this.text = "";
    this.reasoning = "";
    this.loaded = false;
  }

  /** Begins to be written, for the first time or once more from where it ended. */
  begin(runId: string, model: string | null): void {
    this.status = "running";
    this.runId = runId;
    this.model = model ?? this.model;
    this.usage = null;
    this.error = null;
    this.started = false;
  }
}
