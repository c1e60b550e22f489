/**
 * The addresses: "/" is a new chat, "/chat/{id}" an existing one; all others are in pages.ts. One of those is about a
 * chat, too: "/compare/{id}/{message}".
 */

let path = $state(location.pathname);
let hash = $state(location.hash);

function read(): void {
  path = location.pathname;
  hash = location.hash;
}

window.addEventListener("popstate", read);
window.addEventListener("hashchange", read);

export const router = {
  /** The chat that the address names, or null for a new one. */
  get chatId(): string | null {
    const match = /^\/chat\/([^/]+)\/?$/.exec(path) ?? /^\/compare\/([^/]+)\/[^/]+\/?$/.exec(path);
    return match?.[1] ? decodeURIComponent(match[1]) : null;
  },

  /** The message that the address names: "/chat/{id}#{message}". */
  get messageId(): string | null {
    return hash === "" ? null : decodeURIComponent(hash.slice(1));
  },

  /** The address, without a slash at its end. */
  get path(): string {
    return path.length > 1 ? path.replace(/\/$/, "") : path;
  },

  go(chatId: string | null, options: { replace?: boolean } = {}): void {
    this.open(chatPath(chatId), options);
  },

  open(next: string, options: { replace?: boolean } = {}): void {
    if (next === path + hash) return;
    if (options.replace) history.replaceState(null, "", next);
    else history.pushState(null, "", next);
    read();
  },
};

export function chatPath(chatId: string | null): string {
  return chatId === null ? "/" : `/chat/${encodeURIComponent(chatId)}`;
}

export function messagePath(chatId: string, messageId: string): string {
  return `${chatPath(chatId)}#${encodeURIComponent(messageId)}`;
}

export function projectPath(id: string): string {
  return `/projects/${encodeURIComponent(id)}`;
}

/** What a click on a link does, without loading the page anew; a new tab or window is the browser's business. */
export function link(follow: () => void): (event: MouseEvent) => void {
  return (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || event.button !== 0) return;
    event.preventDefault();
    follow();
  };
}
