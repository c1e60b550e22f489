/** Markdown for other programs: as text without its signs, and as HTML. */

import { BlockSplitter, definitions, notes } from "./blocks";
import { renderBlock } from "./render";

/** A text as it is read: lists with their marks, tables with tabs, formulas as they were written. */
export function toText(source: string): string {
  return text(rendered(source)).replace(/[ \t]+\n/g, "\n").replace(/\n{3,}/g, "\n\n").trim();
}

/** What another program needs of our elements; the rest is how they look here. */
const MEANT: ReadonlySet<string> = new Set(["href", "start"]);

/** A text as word processors take it: headings, lists, tables, code and links, with nothing of this page. */
export function toRich(source: string): string {
  const root = rendered(source);
  for (const heading of root.querySelectorAll("[class^=h]")) {
    const level = /^h[1-6]$/.exec(heading.className)?.[0];
    if (level && /^H[1-6]$/.test(heading.tagName)) replace(heading, level, ...heading.childNodes);
  }
  for (const code of root.querySelectorAll("pre > code")) code.textContent = code.textContent;
  for (const box of root.querySelectorAll("figure, .table-box")) box.replaceWith(...box.querySelectorAll("pre, table"));
  for (const element of root.querySelectorAll("*")) {
    for (const name of element.getAttributeNames()) if (!MEANT.has(name)) element.removeAttribute(name);
  }
  return root.innerHTML;
}

function replace(element: Element, tag: string, ...children: Node[]): void {
  const other = document.createElement(tag);
  other.append(...children);
  element.replaceWith(other);
}

function rendered(source: string): HTMLElement {
  const root = document.createElement("div");
  const used = definitions(source);
  const labels = notes(source);
  for (const block of new BlockSplitter().update(source, true)) root.append(renderBlock(block, used, false, labels));
  // What is there for the page alone; a mark of a footnote keeps its number.
  for (const note of root.querySelectorAll(".note")) note.replaceWith(`[${note.textContent}]`);
  for (const done of root.querySelectorAll(".check")) done.replaceWith(done.classList.contains("checked") ? "[x]" : "[ ]");
  for (const spare of root.querySelectorAll("button, figcaption, .drawing, .why")) spare.remove();
  for (const formula of root.querySelectorAll(".katex")) {
    formula.replaceWith(formula.querySelector("annotation")?.textContent ?? "");
  }
  return root;
}

const BLOCKS = /^(?:P|DIV|PRE|FIGURE|BLOCKQUOTE|UL|OL|TABLE|H[1-6]|HR)$/;

function text(node: Node): string {
  if (node.nodeType === Node.TEXT_NODE) return node.nodeValue ?? "";
  if (!(node instanceof Element)) return "";
  const inside = () => Array.from(node.childNodes, text).join("");
  switch (node.tagName) {
    case "BR":
      return "\n";
    case "HR":
      return "\n\n";
    case "PRE":
      return `\n\n${node.textContent}\n\n`;
    case "A": {
      const target = node.getAttribute("href") ?? "";
      return target === node.textContent || target === "" ? inside() : `${inside()} (${target})`;
    }
    case "LI":
      return `\n${mark(node)}${inside().trim().replace(/\n+/g, "\n").replace(/\n/g, "\n  ")}`;
    case "UL":
    case "OL":
      return `\n\n${Array.from(node.children, text).join("").trim()}\n\n`;
    case "TR":
      return `${Array.from(node.children, (cell) => text(cell).trim()).join("\t")}\n`;
    case "TABLE":
      return `\n\n${Array.from(node.querySelectorAll("tr"), text).join("")}\n`;
    default:
      return BLOCKS.test(node.tagName) ? `\n\n${inside()}\n\n` : inside();
  }
}

function mark(item: Element): string {
  const list = item.parentElement;
  if (list?.tagName !== "OL") return "- ";
  const first = Number(list.getAttribute("start") ?? 1);
  return `${first + Array.from(list.children).indexOf(item)}. `;
}
