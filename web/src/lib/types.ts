/** The wire objects of docs/application-api.md. Times are Unix milliseconds, sizes bytes. */

export type MessageStatus = "waiting" | "complete" | "running" | "interrupted" | "stopped" | "failed";
export type RunStatus = "waiting" | "queued" | "running" | "complete" | "stopped" | "interrupted" | "failed";

export type Role = "owner" | "admin" | "member";
export type Permission = "all" | "read" | "inference";

export interface User {
  id: string;
  name: string;
  role: Role;
}

/** Whether the account is linked with the identity provider, and who one is there. */
export interface ProviderLink {
  name: string;
  linked: boolean;
  label: string | null;
  can_unlink: boolean;
}

/** One's second factor; `required`: nobody on this server may be without. */
export interface Factor {
  enabled: boolean;
  since: number | null;
  codes_left: number;
  required: boolean;
}

/** A second factor that is not confirmed yet; `picture` is a data: URL. */
export interface PendingFactor {
  secret: string;
  address: string;
  picture: string;
}

export interface InvitationState {
  state: "open" | "used" | "expired" | "revoked";
  role: Role;
  name: string | null;
  expires_at: number;
}

export interface Invitation extends InvitationState {
  id: string;
  uses: number;
  most_uses: number;
  created_at: number;
  by: string;
}

export interface NewInvitation {
  role: Role;
  expires_at: number;
  uses: number;
  name: string | null;
}

/** What a person has chosen for themselves; null: as the browser has it. */
export interface Preferences {
  display_name: string | null;
  /** Told to every model before every chat. */
  instructions: string;
  language: string | null;
  theme: "system" | "light" | "dark" | "contrast" | null;
  /** Counts the changes. */
  version: number;
}

/** With a version it is refused if they have changed since. */
export type PreferencesChange = Partial<Preferences>;

/** How things stand between this browser and the server. */
export interface Session {
  version: string;
  default_model: string;
  /** ready: go on; sign_in: there are accounts, and nobody is signed in; set_up: the first one is to be made. */
  state: "ready" | "sign_in" | "set_up";
  /** Null unless ready. */
  user: User | null;
  list_cursor: number | null;
  /** Whether somebody is signed in, or this is simply the person whose machine it is. */
  can_sign_out: boolean;
  /** Who may make an account for themselves. */
  sign_up: "closed" | "invitation" | "open";
  /** What the identity provider is called, if there is one. */
  provider: string | null;
  password_sign_in: boolean;
  /** Of a second factor that this sign-in has set up; shown this once. */
  recovery_codes: string[] | null;
  /** How the first account is made: with the token that the terminal shows, or without; null: there are accounts. */
  setup: "token" | "open" | null;
}

/** A session in which everything is there to begin with. */
export type ReadySession = Session & { state: "ready"; user: User; list_cursor: number };

export interface Chat {
  id: string;
  title: string | null;
  model: string | null;
  leaf_id: string | null;
  created_at: number;
  updated_at: number;
  version: number;
  /** Whose words the title is: the beginning of the first message, a model's, the user's. */
  titled_by: "text" | "model" | "user";
  pinned_at: number | null;
  archived_at: number | null;
  project_id: string | null;
  /** Null for what is recommended for the model, empty for none. */
  system_prompt: string | null;
  parameters: Parameters | null;
}

/** How a run is asked for; what is absent has the model's own default. */
export interface Parameters {
  temperature?: number;
  top_p?: number;
  top_k?: number;
  min_p?: number;
  max_tokens?: number;
  seed?: number;
  repetition_penalty?: number;
  presence_penalty?: number;
  frequency_penalty?: number;
  stop?: string[];
  thinking?: boolean;
  dialect?: string;
  adapter?: string;
}

/** What a chat tells its model, and how it asks it. */
export interface Tuning {
  system_prompt: string | null;
  parameters: Parameters | null;
}

/** A tuning under a name; the default one is that of new chats. */
export interface Preset {
  id: string;
  name: string;
  model: string | null;
  system_prompt: string | null;
  parameters: Parameters;
  is_default: boolean;
  created_at: number;
}

/** A folder of chats; a model is told its instructions before each of them. */
export interface Project {
  id: string;
  name: string;
  instructions: string;
  created_at: number;
  updated_at: number;
  version: number;
}

/** Which chats a list has; without `archived` those that are not. */
export interface ChatFilter {
  archived?: boolean;
  pinned?: boolean;
  /** An id, or "none" for those in no project. */
  project?: string;
}

export type ChatAction = "archive" | "unarchive" | "pin" | "unpin" | "move" | "delete";

/** A piece of text; `hit`: what was searched for. */
export interface Segment {
  text: string;
  hit: boolean;
}

export interface FoundMessage {
  chat: Chat;
  message_id: string;
  role: "user" | "assistant";
  created_at: number;
  snippet: Segment[];
}

export interface Found {
  titles: { chat: Chat; snippet: Segment[] }[];
  messages: FoundMessage[];
  /** Where the next page of messages begins. */
  next: number | null;
}

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

/** How a run is sampled, and how the model is talked to. */
export interface Parameters {
  temperature?: number;
  top_p?: number;
  top_k?: number;
  min_p?: number;
  max_tokens?: number;
  seed?: number;
  repetition_penalty?: number;
  dialect?: string;
  adapter?: string;
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

export interface Pull {
  state: "running" | "failed";
  done: number;
  total: number;
  bytes_per_second: number | null;
  source: string | null;
  error: string | Failure | null;
}

/** A model without an entry in the catalog, such as somebody's own file, leaves open what only the catalog knows. */
export interface Model {
  name: string;
  title: string;
  description: string | null;
  parameters: number | null;
  licence: string | null;
  licence_class: string | null;
  licence_title: string | null;
  licence_url: string | null;
  /** The licence is to be acknowledged before the first answer. */
  forbids: boolean;
  context: number | null;
  bytes: number | null;
  on_disk: boolean;
  /** Myna fetched it, and may delete it. */
  removable: boolean;
  state: "absent" | "loading" | "ready" | "failed";
  load_error: Failure | null;
  running: number;
  /** Bytes; null before it is on disk. */
  memory: { weights: number; kv_per_1000_tokens: number } | null;
  /** Of its answers on this machine; null before there were any. */
  tokens_per_second: number | null;
  /** Whether it was taught to hold a conversation; null: not known. */
  chats: boolean | null;
  thinks: boolean;
  sampling: { temperature: number; top_p: number; max_tokens: number; system_prompt: string | null };
  loaded: boolean;
  default: boolean;
  pull: Pull | null;
}

/** All that is known of a model, as the authors say it. */
export interface ModelCard {
  model: Model;
  sources: string[];
  source: string | null;
  sha256: string | null;
  fetched_at: number | null;
  path: string | null;
  architecture: string | null;
  layers: number | null;
  width: number | null;
  heads: number | null;
  vocabulary: number | null;
  loaded_as: string | null;
  stored: Record<string, number>;
  packed: Record<string, number>;
  dialect: string | null;
  trained_on: string | null;
  limits: string | null;
  more: string | null;
}

/** Bytes that the machine has, and that are free; the budget is 0 where there is none. */
export interface MachineMemory {
  total: number;
  available: number;
  budget: number;
}

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

export function isReady(session: Session): session is ReadySession {
  return session.state === "ready" && session.user !== null && session.list_cursor !== null;
}

/** Whether a person may decide what concerns everybody: models and accounts. */
export function manages(user: User | null | undefined): boolean {
  return user?.role === "owner" || user?.role === "admin";
}

/** A browser that is signed in. */
export interface SignIn {
  id: string;
  created_at: number;
  last_used_at: number | null;
  address: string | null;
  agent: string | null;
  current: boolean;
}

/** What a proof must have. Who has no password has signed in not long ago: it counts for `seconds_left` yet. */
export interface Needs {
  password: boolean;
  code: boolean;
  seconds_left: number | null;
}

/** That it is still the user who asks. */
export interface Proof {
  password?: string;
  code?: string;
}

export interface ApiKey {
  id: string;
  name: string;
  prefix: string;
  permission: Permission;
  created_at: number;
  last_used_at: number | null;
  expires_at: number | null;
  requests_per_minute: number | null;
  tokens_per_minute: number | null;
}

export interface NewApiKey {
  name: string;
  permission: Permission;
  expires_at: number | null;
  requests_per_minute: number | null;
  tokens_per_minute: number | null;
}

export interface Account extends User {
  second_factor: boolean;
  disabled: boolean;
  created_at: number;
  last_seen_at: number | null;
}
