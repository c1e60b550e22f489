/**
 * One block of Markdown to a DOM fragment. What a model writes is text from a stranger: HTML in it is shown, not
 * obeyed; pictures become links, since loading one would tell its host; and the sanitiser has the last word.
 */

import DOMPurify from "dompurify";
import type { Tokens } from "marked";
import { strings } from "../strings";
import { fenceOf, RUN_LINES, runsOf } from "./fence";
import { fileName } from "./files";
import { isHard } from "./hard";
import { highlight, languageName } from "./highlight.svelte";
import { formula } from "./math.svelte";
import { parser, toHtml, type Formula, type Note } from "./parser";

/** Tags without attributes that models use in place of Markdown, above all inside tables. */
const HARMLESS_TAG = /^<\/?(?:br|sub|sup|kbd|mark|u|s|b|i|em|strong|small)\s*\/?>$/i;
const SAFE_LINK = /^(?:https?|mailto):/i;
/** The sanitiser holds every attribute's value against this: our schemes, or no scheme at all. */
const SAFE_VALUE = /^(?:(?:https?|mailto):|[^a-z]|[a-z+.-]+(?:[^a-z+.\-:]|$))/i;

/** A code block so long says how long it is. */
const MANY_LINES = 20;

/** A block so long is not parsed to find out that it is code. */
const LONG_FENCE = 20_000;

/** The page's own headings are levels one and two. */
const HEADING_OFFSET = 2;

parser.use({
  extensions: [
    { name: "formula", renderer: (token) => formulaHtml(token as Formula) },
    { name: "formulaBlock", renderer: (token) => `${formulaHtml(token as Formula)}\n` },
    {
      name: "note",
      renderer({ label, tokens }) {
        return `<div class="footnote">${noteButton(label as string)}<div>${this.parser.parseInline(tokens ?? [])}</div></div>\n`;
      },
    },
    { name: "noteMark", renderer: (token) => `<sup>${noteButton((token as Note).label)}</sup>` },
  ],
  renderer: {
    heading({ tokens, depth }: Tokens.Heading): string {
      const level = Math.min(6, depth + HEADING_OFFSET);
      return `<h${level} class="h${depth}">${this.parser.parseInline(tokens)}</h${level}>\n`;
    },
    code({ text, lang, raw }: Tokens.Code): string {
      // A fence without its end is still being written.
      const closed = /\n[ \t]*(?:`{3,}|~{3,})\s*$/.test(raw);
      return codeHtml((lang ?? "").trim().split(/\s+/)[0] ?? "", text, closed);
    },
    table(token: Tokens.Table): string {
      const cells = (row: Tokens.TableCell[], tag: "th" | "td"): string =>
        row
          .map((cell) => {
            const align = cell.align ? ` class="align-${cell.align}"` : "";
            return `<${tag}${align}>${this.parser.parseInline(cell.tokens)}</${tag}>`;
          })
          .join("");
      const body = token.rows.map((row) => `<tr>${cells(row, "td")}</tr>`).join("");
      return (
        `<div class="table-box"><div class="table" tabindex="0"><table><thead><tr>${cells(token.header, "th")}</tr></thead>` +
        `<tbody>${body}</tbody></table></div>` +
        `<button type="button" class="copy-table">${escape(strings.answer.copyTable)}</button></div>\n`
      );
    },
    checkbox({ checked }: Tokens.Checkbox): string {
      return `<span class="check${checked ? " checked" : ""}" role="img" aria-label="${escape(checked ? strings.message.done : strings.message.toDo)}"></span> `;
    },
    html({ text, block }: Tokens.HTML | Tokens.Tag): string {
      if (HARMLESS_TAG.test(text.trim())) return text;
      return block ? `<p class="source">${escape(text.trim())}</p>\n` : escape(text);
    },
    link({ href, tokens }: Tokens.Link): string {
      const text = this.parser.parseInline(tokens);
      return SAFE_LINK.test(href) ? anchor(href, text) : text;
    },
    image({ href, text }: Tokens.Image): string {
      return SAFE_LINK.test(href) ? anchor(href, escape(text || href)) : escape(text);
    },
  },
});

function codeHtml(language: string, text: string, closed: boolean): string {
  const { answer, message } = strings;
  const count = text.split("\n").length;
  const lines = count < MANY_LINES ? "" : ` <span class="lines">${escape(answer.lines(count))}</span>`;
  const drawn = language === "mermaid" && closed;
  return (
    `<figure class="code${drawn ? " diagram" : ""}"><figcaption><span class="language">${escape(languageName(language))}${lines}</span>` +
    `<button type="button" class="wrap-code" aria-pressed="false">${escape(answer.wrap)}</button>` +
    `<button type="button" class="save-code" title="${escape(fileName(language))}">${escape(answer.download)}</button>` +
    `<button type="button" class="copy-code" aria-label="${escape(message.copyCode)}">${escape(message.copy)}</button>` +
    `</figcaption>${drawn ? `<div class="drawing"></div>` : ""}` +
    `<pre tabindex="0" dir="ltr"><code>${highlight(text, language) ?? plainHtml(text, count)}</code></pre></figure>\n`
  );
}

function plainHtml(code: string, lines: number): string {
  if (lines <= RUN_LINES) return escape(code);
  return runsOf(code).map((run) => `<span class="run">${escape(run)}</span>`).join("");
}

/** Formulas of one block that are drawn; what a model writes has a dozen. */
const MOST_FORMULAS = 200;
/** Of the block that is being rendered. */
let formulasLeft = MOST_FORMULAS;

/** A formula drawn, or its source until that can be and where it cannot. */
function formulaHtml({ tex, display, open }: Formula): string {
  const source = `<code class="source">${escape(tex)}</code>`;
  const drawn = open || formulasLeft <= 0 ? null : formula(tex, display);
  formulasLeft -= 1;
  const tag = display ? "div" : "span";
  if (drawn === null) return `<${tag} class="formula" dir="ltr">${source}</${tag}>`;
  if ("html" in drawn) return `<${tag} class="formula${display ? " display" : ""}" dir="ltr">${drawn.html}</${tag}>`;
  const why = `<span class="why"> ${escape(`${strings.answer.formulaFailed} ${drawn.error}`)}</span>`;
  return `<${tag} class="formula failed" dir="ltr">${source}${why}</${tag}>`;
}

/** A mark without its note, which may still come, leads nowhere. */
function noteButton(label: string): string {
  const number = numbered.indexOf(label) + 1;
  if (number === 0) return escape(label);
  return `<button type="button" class="note" aria-label="${escape(`${strings.answer.footnotes} ${number}`)}">${number}</button>`;
}

function anchor(href: string, html: string): string {
  return `<a href="${escape(href)}" target="_blank" rel="noopener noreferrer nofollow">${html}</a>`;
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

// prettier-ignore
const ALLOWED_TAGS = [
  "a", "b", "blockquote", "br", "button", "code", "del", "div", "em", "figcaption", "figure", "h3", "h4", "h5", "h6",
  "hr", "i", "kbd", "li", "mark", "ol", "p", "pre", "s", "small", "span", "strong", "sub", "sup", "table", "tbody",
  "td", "th", "thead", "tr", "u", "ul",
];
// prettier-ignore
const ALLOWED_ATTRIBUTES = [
  "aria-label", "aria-pressed", "class", "dir", "href", "rel", "role", "start", "tabindex", "target", "title", "type",
];

/** What KaTeX makes of formulas: MathML for screen readers, boxes for the eye. */
// prettier-ignore
const FORMULA_TAGS = [
  "annotation", "line", "math", "menclose", "mfrac", "mi", "mn", "mo", "mover", "mpadded", "mphantom", "mroot", "mrow",
  "mspace", "msqrt", "mstyle", "msub", "msubsup", "msup", "mtable", "mtd", "mtext", "mtr", "munder", "munderover", "path",
  "semantics", "svg",
];
// prettier-ignore
const FORMULA_ATTRIBUTES = [
  "accent", "accentunder", "aria-hidden", "columnalign", "columnlines", "columnspacing", "d", "display", "displaystyle",
  "encoding", "fence", "height", "linethickness", "lspace", "mathcolor", "mathbackground", "mathvariant", "maxsize",
  "minsize", "movablelimits", "notation", "preserveAspectRatio", "rowlines", "rowspacing", "rspace", "scriptlevel",
  "separator", "stretchy", "style", "symmetric", "viewBox", "voffset", "width", "xmlns", "x1", "x2", "y1", "y2",
  "stroke-width",
];
/** Lengths, colours and borders; nothing that fetches, covers the page or leaves the formula. */
const SAFE_STYLE = /^(?:(?:height|width|min-width|max-width|vertical-align|top|bottom|left|right|color|background-color|border-[a-z-]+|margin-[a-z]+|padding-[a-z]+|position):\s*(?!fixed|sticky)[-#\w.%]+(?:\s[-#\w.%]+)*;?\s*)*$/;

DOMPurify.addHook("uponSanitizeAttribute", (_, attribute) => {
  if (attribute.attrName === "style" && !SAFE_STYLE.test(attribute.attrValue)) attribute.keepAttr = false;
});

/** A block as it is written. */
function asWritten(source: string): DocumentFragment {
  const fragment = document.createDocumentFragment();
  const paragraph = document.createElement("p");
  paragraph.className = "source";
  paragraph.textContent = source.trim();
  fragment.append(paragraph);
  return fragment;
}

/** The footnotes of the text whose block is being rendered. */
let numbered: readonly string[] = [];

/**
 * Renders one block; `definitions` are link references from elsewhere in the text that it may use, `notes` the text's
 * footnotes.
 */
export function renderBlock(
  block: string,
  definitions: string,
  growing = false,
  notes: readonly string[] = [],
): DocumentFragment {
  numbered = notes;
  formulasLeft = MOST_FORMULAS;
  // Code is not parsed, however long it is.
  const hard = isHard(block);
  const fence = hard || block.length > LONG_FENCE ? fenceOf(block) : null;
  if (hard && !fence) return asWritten(block);
  const source = definitions === "" ? block : `${block}\n\n${definitions}`;
  const html = fence ? codeHtml(fence.language, fence.code, fence.closed) : toHtml(source, growing);
  const formulas = html.includes('class="katex');
  return DOMPurify.sanitize(html, {
    ALLOWED_TAGS: formulas ? [...ALLOWED_TAGS, ...FORMULA_TAGS] : ALLOWED_TAGS,
    ALLOWED_ATTR: formulas ? [...ALLOWED_ATTRIBUTES, ...FORMULA_ATTRIBUTES] : ALLOWED_ATTRIBUTES,
    ALLOW_DATA_ATTR: false,
    ALLOWED_URI_REGEXP: SAFE_VALUE,
    RETURN_DOM_FRAGMENT: true,
  });
}
