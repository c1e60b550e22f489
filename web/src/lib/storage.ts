/**
 * The browser's storage, which may be full, blocked or absent: then the application works on, and forgets.
 * What a person typed is kept under their own name: whoever signs in next in the same browser does not meet it.
 */

const PREFIX = "myna.";

/** Of the person whose things are kept; empty for the first of this server, who may have had no account. */
let own = "";
/** The person is gone, and what the closing page would still store of theirs is not. */
let sealed = false;

/** Whose drafts and unsent messages are meant from now on. */
export function belongTo(user: string): void {
  own = user === "local" ? "" : `@${user}.`;
}

/** What could not be stored: it lives as long as the page. */
const unstored = new Map<string, string>();

/** What was typed while a temporary chat is open: it lives as long as that is. */
let passing: Map<string, string> | null = null;

/** From now on, and until it is told otherwise, nothing that is typed in this page reaches the browser's storage. */
export function leaveNoTrace(none: boolean): void {
  passing = none ? new Map() : null;
}

export function read(key: string): string | null {
  if (passing !== null && key.startsWith(`${own}draft.`)) return passing.get(key) ?? null;
  const here = unstored.get(key);
  if (here !== undefined) return here;
  try {
    return localStorage.getItem(PREFIX + key);
  } catch {
    return null;
  }
}

/** Whether the browser keeps the value beyond this page. */
export function write(key: string, value: string | null): boolean {
  if (sealed) return true;
  if (passing !== null && key.startsWith(`${own}draft.`)) {
    if (value === null) passing.delete(key);
    else passing.set(key, value);
    return true;
  }
  // What was sent is kept by the one who sends it. What was sent before still leaves the storage when it has arrived.
  if (passing !== null && value !== null && key.startsWith(`${own}outbox.`)) return true;
  unstored.delete(key);
  try {
    if (value === null) localStorage.removeItem(PREFIX + key);
    else localStorage.setItem(PREFIX + key, value);
    return true;
  } catch {
    if (value === null) return true;
    // Full or blocked. What an older value says would be taken for this one after a reload.
    try {
      localStorage.removeItem(PREFIX + key);
    } catch {
      // Then there is none either.
    }
    unstored.set(key, value);
    return false;
  }
}

/** Keys that start with `prefix`, without Myna's own prefix. */
export function keys(prefix: string): string[] {
  try {
    return Object.keys(localStorage)
      .filter((key) => key.startsWith(PREFIX + prefix))
      .map((key) => key.slice(PREFIX.length));
  } catch {
    return [];
  }
}

/** What was typed and not sent, by chat ("new" for the one that does not exist yet) or edited message. */
export const drafts = {
  read: (subject: string): string => read(`${own}draft.${subject}`) ?? "",
  write: (subject: string, text: string): boolean => write(`${own}draft.${subject}`, text === "" ? null : text),
  /** Tells what another tab makes of a draft, from what it was before; returns how to stop that. */
  watch(subject: string, changed: (before: string, now: string) => void): () => void {
    const key = `${PREFIX}${own}draft.${subject}`;
    const listener = (event: StorageEvent): void => {
      if (event.key === key) changed(event.oldValue ?? "", event.newValue ?? "");
    };
    window.addEventListener("storage", listener);
    return () => window.removeEventListener("storage", listener);
  },
  all: (): string[] => keys(`${own}draft.`),
};

/** What was sent and has not arrived, by run. */
export const unsent = {
  read: (run: string): string | null => read(`${own}outbox.${run}`),
  write: (run: string, entry: string | null): boolean => write(`${own}outbox.${run}`, entry),
  all: (): string[] => keys(`${own}outbox.`).map((key) => key.slice(`${own}outbox.`.length)),
};

/** The id of this tab's temporary chat: it outlives the page, not the tab. */
export const temporaryChat = {
  read(): string | null {
    try {
      return sessionStorage.getItem(`${PREFIX}temporary`);
    } catch {
      return null;
    }
  },
  write(id: string | null): void {
    try {
      if (id === null || sealed) sessionStorage.removeItem(`${PREFIX}temporary`);
      else sessionStorage.setItem(`${PREFIX}temporary`, id);
    } catch {
      // Blocked: then a reload ends the chat.
    }
  },
};

/** Where the person was before they went to the identity provider, of this tab. */
export const comeBack = {
  write(path: string): void {
    try {
      sessionStorage.setItem(`${PREFIX}back`, path);
    } catch {
      // Blocked: then they come back to the first page.
    }
  },
  take(): string {
    try {
      const path = sessionStorage.getItem(`${PREFIX}back`);
      sessionStorage.removeItem(`${PREFIX}back`);
      return path !== null && /^\/(?:account|admin|chat|compare|projects)(?:\/|$)/.test(path) ? path : "/";
    } catch {
      return "/";
    }
  },
};

/** What says nothing of a person: how the page looks in this browser. */
const OF_THE_BROWSER: ReadonlySet<string> = new Set(["language", "sidebar", "single-keys", "theme"]);

/** What was typed, and by whom: nobody's is lost because somebody else leaves. */
const TYPED = /^(@[^.]*\.|)(?:draft|outbox)\./;

/** Forgets the person in this browser, with all that they typed, for good: this page stores nothing more. */
export function forget(): void {
  leaveNoTrace(false);
  temporaryChat.write(null);
  comeBack.take();
  for (const key of keys("")) {
    const typist = TYPED.exec(key)?.[1];
    if (!OF_THE_BROWSER.has(key) && (typist === undefined || typist === own)) write(key, null);
  }
  sealed = true;
}
