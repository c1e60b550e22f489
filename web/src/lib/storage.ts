/** The browser's storage, which may be full, blocked or absent: then the application works on, and forgets. */

const PREFIX = "myna.";

export function read(key: string): string | null {
  try {
    return localStorage.getItem(PREFIX + key);
  } catch {
    return null;
  }
}

export function write(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(PREFIX + key);
    else localStorage.setItem(PREFIX + key, value);
  } catch {
    // Full or blocked: the value lives as long as the page.
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
  read: (subject: string): string => read(`draft.${subject}`) ?? "",
  write: (subject: string, text: string): void => write(`draft.${subject}`, text === "" ? null : text),
};
