/**
 * Makes an element's children equal to a fragment's, keeping every node that stays: a text selection, the scroll
 * position of a code block and the focus survive while more of the answer arrives.
 */

/** What became of a figure since it was made: it is wrapped, its diagram is drawn, or could not be. */
const STATES = ["wrap", "drawn", "failed"];

export function morph(target: Element, source: ParentNode): void {
  let existing = target.firstChild;
  for (const wanted of Array.from(source.childNodes)) {
    if (existing && reconcile(existing, wanted)) {
      existing = existing.nextSibling;
    } else {
      target.insertBefore(wanted, existing);
      // Node kinds follow each other in order, so what differs here is almost always at the end.
      if (existing) {
        const replaced: ChildNode = existing;
        existing = existing.nextSibling;
        replaced.remove();
      }
    }
  }
  while (existing) {
    const surplus: ChildNode = existing;
    existing = existing.nextSibling;
    surplus.remove();
  }
}

/** Turns `existing` into `wanted` in place; false when they are of different kinds. */
function reconcile(existing: ChildNode, wanted: ChildNode): boolean {
  if (existing.nodeType !== wanted.nodeType || existing.nodeName !== wanted.nodeName) return false;
  if (existing instanceof Element && wanted instanceof Element) {
    // A button that says "Copied" keeps saying so until it changes back itself. What a download is called is the text's
    // own, as a footnote's number is: the language of a code block comes a moment after its first line has begun.
    if (existing instanceof HTMLButtonElement && !existing.matches(".note")) {
      const title = wanted.getAttribute("title");
      if (title !== null) existing.title = title;
      return true;
    }
    for (const { name } of Array.from(existing.attributes)) if (!wanted.hasAttribute(name)) existing.removeAttribute(name);
    const states = STATES.filter((state) => existing.nodeName === "FIGURE" && existing.classList.contains(state));
    for (const { name, value } of Array.from(wanted.attributes)) {
      if (existing.getAttribute(name) !== value) existing.setAttribute(name, value);
    }
    // Adding nothing would still leave an empty "class", and a list with one is none of the text's.
    if (states.length > 0) existing.classList.add(...states);
    morph(existing, wanted);
  } else if (existing.nodeValue !== wanted.nodeValue) {
    appendOrReplace(existing, wanted.nodeValue ?? "");
  }
  return true;
}

/** Appending keeps a selection inside the text; setting the whole value would drop it. */
function appendOrReplace(node: ChildNode, value: string): void {
  const old = node.nodeValue ?? "";
  if (node instanceof CharacterData && value.startsWith(old)) node.appendData(value.slice(old.length));
  else node.nodeValue = value;
}
