/** Chats, what they are asked with, and where they are found, on the wire. */

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
