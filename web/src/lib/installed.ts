/**
 * The service worker, which keeps the application's own files for when the server cannot be reached, and the question
 * whether the server has a newer application than this page. It runs where browsers allow it: on this computer, and
 * over TLS.
 */

import { strings } from "./strings";
import { toasts } from "./state/toasts.svelte";

let registration: ServiceWorkerRegistration | null = null;

export async function install(): Promise<void> {
  if (!("serviceWorker" in navigator) || import.meta.env.DEV) return;
  try {
    // Where an extension forbids it, some browsers answer with nothing.
    registration = (await navigator.serviceWorker.register("/sw.js")) ?? null;
  } catch {
    // Not allowed here: the application works, but only with the server.
    return;
  }
  if (registration?.waiting) void newer();
  registration?.addEventListener("updatefound", () => {
    const arriving = registration?.installing;
    arriving?.addEventListener("statechange", () => {
      // The first of all has nothing to replace.
      if (arriving.state === "installed" && navigator.serviceWorker.controller) void newer();
    });
  });
}

/** The server is back, and may have been upgraded meanwhile. */
export function lookForNewer(): void {
  void registration?.update().catch(() => undefined);
}

/** A new worker waits: this page, if it is an old one, is offered to begin anew, when its user likes. */
async function newer(): Promise<void> {
  if (await isCurrent()) registration?.waiting?.postMessage("begin");
  else toasts.keep(strings.newer.text, { text: strings.newer.reload, run: reload });
}

/** Whether the page that the server has now is made of this page's scripts. */
async function isCurrent(): Promise<boolean> {
  try {
    const page = await (await fetch("/", { headers: { accept: "text/html" }, cache: "no-store" })).text();
    return Array.from(document.scripts).every((script) => page.includes(new URL(script.src).pathname));
  } catch {
    return true;
  }
}

function reload(): void {
  const waiting = registration?.waiting;
  if (!waiting) return location.reload();
  navigator.serviceWorker.addEventListener("controllerchange", () => location.reload(), { once: true });
  waiting.postMessage("begin");
}
