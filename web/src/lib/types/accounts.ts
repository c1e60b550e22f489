/** Who is there, and what they have chosen, on the wire. */

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
  /** Whether people may sign in with them. */
  passkeys: boolean;
  /** Of a second factor that this sign-in has set up; shown this once. */
  recovery_codes: string[] | null;
  /** How the first account is made: with the token that the terminal shows, or without; null: there are accounts. */
  setup: "token" | "open" | null;
}

/** A session in which everything is there to begin with. */
export type ReadySession = Session & { state: "ready"; user: User; list_cursor: number };

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

export interface Passkey {
  id: string;
  name: string;
  /** The host name that it works with. */
  site: string;
  /** Whether it is on several devices. */
  synced: boolean;
  created_at: number;
  last_used_at: number | null;
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
