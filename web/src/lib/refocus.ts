/**
 * Whoever works by keyboard stays where he was when what had the focus goes: a button that did its work, an editor that
 * was closed, a version that another one took the place of. Without this the browser puts the focus back to the page's
 * beginning.
 */

/** Watches a feed of articles that say their place in it (`aria-posinset`). Gives back what ends it. */
export function keepFocus(feed: HTMLElement): () => void {
  let held: Element | null = null;
  let article: HTMLElement | null = null;

  function onfocusin({ target }: FocusEvent): void {
    held = target instanceof Element ? target : null;
    article = held?.closest("article") ?? null;
  }

  function onfocusout({ target }: FocusEvent): void {
    // What is taken away or disabled loses the focus too: that shows only once the page has changed.
    queueMicrotask(() => {
      if (held === target && held !== null && usable(held)) held = null;
    });
  }

  function onchange(): void {
    if (held === null || usable(held)) return;
    const active = document.activeElement;
    const label = held.getAttribute("aria-label");
    if (active !== null && active !== document.body && active !== held) return;
    held = null;
    const place = article?.isConnected ? article : successor(feed, Number(article?.getAttribute("aria-posinset")));
    (counterpart(place, label) ?? place)?.focus({ preventScroll: true });
  }

  feed.addEventListener("focusin", onfocusin);
  feed.addEventListener("focusout", onfocusout);
  const observer = new MutationObserver(onchange);
  observer.observe(feed, { subtree: true, childList: true, attributeFilter: ["disabled"] });
  return () => {
    observer.disconnect();
    feed.removeEventListener("focusin", onfocusin);
    feed.removeEventListener("focusout", onfocusout);
  };
}

function usable(element: Element): boolean {
  return element.isConnected && !element.matches(":disabled");
}

/** What stands where an article stood, or the last one before. */
function successor(feed: HTMLElement, place: number): HTMLElement | null {
  const before = [...feed.querySelectorAll<HTMLElement>(":scope > article")].filter(
    (article) => Number(article.getAttribute("aria-posinset")) <= place,
  );
  return before.at(-1) ?? null;
}

/** The button of that name; where it has come to an end (the last version), the one beside it. */
function counterpart(place: HTMLElement | null, label: string | null): HTMLElement | null {
  if (place === null || label === null) return null;
  const same = place.querySelector<HTMLButtonElement>(`button[aria-label="${CSS.escape(label)}"]`);
  if (!same?.disabled) return same;
  return same.closest('[role="group"]')?.querySelector<HTMLElement>("button:enabled") ?? null;
}
