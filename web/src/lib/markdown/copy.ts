/** Markdown for other programs, as text without its signs. */

import { BlockSplitter, definitions, notes } from "./blocks";
import { renderBlock } from "./render";

/** A text as it is read: lists with their marks, tables with tabs, formulas as they were written. */
export function toText(source: string): string {
  return text(rendered(source)).replace(/[ \t]+\n/g, "\n").replace(/\n{3,}/g, "\n\n").trim();
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
