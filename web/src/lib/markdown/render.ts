/**
 * One block of Markdown to a DOM fragment. What a model writes is text from a stranger: HTML in it is shown, not
 * obeyed; pictures become links, since loading one would tell its host; and the sanitiser has the last word.
 */

import DOMPurify from "dompurify";
import { Marked, type Tokens } from "marked";
import { strings } from "../strings";
import { highlight, languageName } from "./highlight.svelte";

/** Tags without attributes that models use in place of Markdown, above all inside tables. */
const HARMLESS_TAG = /^<\/?(?:br|sub|sup|kbd|mark|u|s|b|i|em|strong|small)\s*\/?>$/i;
const SAFE_LINK = /^(?:https?|mailto):/i;
/** The sanitiser holds every attribute's value against this: our schemes, or no scheme at all. */
const SAFE_VALUE = /^(?:(?:https?|mailto):|[^a-z]|[a-z+.-]+(?:[^a-z+.\-:]|$))/i;

/** The page's own headings are levels one and two. */
const HEADING_OFFSET = 2;

const marked = new Marked({
  gfm: true,
  renderer: {
    heading({ tokens, depth }: Tokens.Heading): string {
      const level = Math.min(6, depth + HEADING_OFFSET);
      return `<h${level} class="h${depth}">${this.parser.parseInline(tokens)}</h${level}>\n`;
    },
    code({ text, lang }: Tokens.Code): string {
      const language = (lang ?? "").trim().split(/\s+/)[0] ?? "";
      const copy = escape(strings.message.copyCode);
      return (
        `<figure class="code"><figcaption><span>${escape(languageName(language))}</span>` +
        `<button type="button" class="copy-code" aria-label="${copy}">${escape(strings.message.copy)}</button>` +
        `</figcaption><pre tabindex="0"><code>${highlight(text, language) ?? escape(text)}</code></pre></figure>\n`
      );
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
        `<div class="table" tabindex="0"><table><thead><tr>${cells(token.header, "th")}</tr></thead>` +
        `<tbody>${body}</tbody></table></div>\n`
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
const ALLOWED_ATTRIBUTES = ["aria-label", "class", "href", "rel", "role", "start", "tabindex", "target", "type"];

/** Renders one block; `definitions` are link references from elsewhere in the text that it may use. */
export function renderBlock(block: string, definitions: string): DocumentFragment {
  const source = definitions === "" ? block : `${block}\n\n${definitions}`;
  const html = marked.parse(source, { async: false });
  return DOMPurify.sanitize(html, {
    ALLOWED_TAGS,
    ALLOWED_ATTR: ALLOWED_ATTRIBUTES,
    ALLOW_DATA_ATTR: false,
    ALLOWED_URI_REGEXP: SAFE_VALUE,
    RETURN_DOM_FRAGMENT: true,
  });
}
