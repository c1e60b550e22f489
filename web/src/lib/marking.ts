/** Marks the words of a search in a message without changing its document (CSS Custom Highlight API). */

import { patternOf, placesOf } from "./sought";

/** As styles/base.css names it. */
const NAME = "sought";
/** Letters of a message that are looked through. */
const MOST = 200_000;
const TEXTS = ".prose, .plain, .text";
/** Labels of buttons are nothing that was said, and a formula says everything twice. */
const SKIPPED = "button, svg, .katex, .sr-only";
/** Between the texts of two of these a word ends. */
const BLOCK = "p, li, dt, dd, td, th, pre, blockquote, h1, h2, h3, h4, h5, h6, .block, .text";

/**
 * Marks what the query asks for in the element that `find` gives, now and whenever something in the column is drawn.
 * `onfirst` hears once where the first place is. Gives back what takes the marks away.
 */
export function markWords(
  column: HTMLElement,
  find: () => HTMLElement | null,
  query: string,
  onfirst: (place: Range) => void,
): () => void {
  const pattern = "highlights" in CSS ? patternOf(query) : null;
  if (pattern === null) return () => undefined;
  let due = 0;
  let told = false;

  function mark(): void {
    due = 0;
    const element = find();
    const places = element === null ? [] : placesIn(element, pattern!);
    CSS.highlights.set(NAME, new Highlight(...places));
    if (told || places[0] === undefined) return;
    told = true;
    onfirst(places[0]);
  }

  const observer = new MutationObserver((records) => {
    const element = find();
    if (!records.some(({ target }) => target === column || element?.contains(target))) return;
    due ||= requestAnimationFrame(mark);
  });
  observer.observe(column, { childList: true, characterData: true, subtree: true });
  mark();
  return () => {
    observer.disconnect();
    cancelAnimationFrame(due);
    CSS.highlights.delete(NAME);
  };
}

function placesIn(element: HTMLElement, pattern: RegExp): Range[] {
  const nodes: Text[] = [];
  const begins: number[] = [];
  let text = "";
  let block: Element | null = null;
  for (const root of element.querySelectorAll(TEXTS)) {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (walker.nextNode() && text.length < MOST) {
      const node = walker.currentNode as Text;
      const parent = node.parentElement;
      if (parent === null || parent.closest(SKIPPED) !== null) continue;
      const within = parent.closest(BLOCK);
      if (within !== block) text += "\n";
      block = within;
      nodes.push(node);
      begins.push(text.length);
      text += node.data;
    }
  }
  let at = 0;
  return placesOf(text, pattern).map(([begin, end]) => {
    const range = document.createRange();
    while ((begins[at + 1] ?? Infinity) <= begin) at += 1;
    range.setStart(nodes[at]!, begin - begins[at]!);
    let last = at;
    while ((begins[last + 1] ?? Infinity) < end) last += 1;
    range.setEnd(nodes[last]!, end - begins[last]!);
    return range;
  });
}
