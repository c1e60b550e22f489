/**
 * What Markdown is here: GitHub's, with formulas. `$…$` and `\(…\)` stand in a line, `$$…$$`, `\[…\]` and LaTeX's own
 * environments by themselves. Money stays text: "$5 and $10" has no formula.
 */

import { Lexer, Marked, type TokenizerExtension, type Tokens } from "marked";

export interface Formula extends Tokens.Generic {
  tex: string;
  display: boolean;
  /** Its end has not come yet. */
  open: boolean;
}

/** Beyond this a dollar has no partner. */
const LONGEST_FORMULA = 5000;

/** Whether more of the text may come: a formula that has begun is one then, and not a pair of odd signs. */
let growing = false;

const BLOCK: [RegExp, boolean][] = [
  [/^ {0,3}\$\$([\s\S]+?)\$\$[ \t]*(?:\n|$)/, false],
  [/^ {0,3}\\\[([\s\S]+?)\\\][ \t]*(?:\n|$)/, false],
  [/^ {0,3}(\\begin\{(equation|align|alignat|gather|multline|cases|matrix|pmatrix|bmatrix)\*?\}[\s\S]+?\\end\{\2\*?\})[ \t]*(?:\n|$)/, false],
  [/^ {0,3}\$\$([\s\S]*)$/, true],
  [/^ {0,3}\\\[([\s\S]*)$/, true],
];

/** A text up to its first empty line. Where a block may begin is asked at each paragraph, and matters within it alone. */
function paragraphOf(source: string): string {
  const end = source.search(/\n[ \t]*\n/);
  return end === -1 ? source : source.slice(0, end);
}

const block: TokenizerExtension = {
  name: "formulaBlock",
  level: "block",
  start: (source) => /(?:^|\n) {0,3}(?:\$\$|\\\[|\\begin\{)/.exec(paragraphOf(source))?.index,
  tokenizer(source): Formula | undefined {
    const head = source.slice(0, LONGEST_FORMULA);
    if (!/^ {0,3}(?:\$\$|\\\[|\\begin\{)/.test(head)) return undefined;
    for (const [pattern, open] of BLOCK) {
      if (open && (!growing || head.length < source.length)) continue;
      const match = pattern.exec(head);
      // An empty line in a formula would be an error in LaTeX too, and is more likely two formulas badly closed.
      if (match && (open || !/\n[ \t]*\n[ \t]*\n/.test(match[1]!))) {
        return { type: "formulaBlock", raw: match[0], tex: match[1]!.trim(), display: true, open };
      }
    }
    return undefined;
  },
};

const inline: TokenizerExtension = {
  name: "formula",
  level: "inline",
  start: (source) => /\$|\\\(|\\\[/.exec(source)?.index,
  tokenizer(source): Formula | undefined {
    const head = source.slice(0, LONGEST_FORMULA);
    const match =
      /^\$\$([^$]+?)\$\$/.exec(head) ?? /^\\\(([\s\S]+?)\\\)/.exec(head) ?? /^\\\[([\s\S]+?)\\\]/.exec(head) ?? inDollars(head);
    if (match) {
      const display = match[0].startsWith("$$") || match[0].startsWith("\\[");
      return { type: "formula", raw: match[0], tex: match[1]!.trim(), display, open: false };
    }
    if (growing && head.length === source.length && /^(?:\$(?=[^\s$])|\\\()[^$]*$/.test(head) && isLikely(head.slice(1))) {
      return { type: "formula", raw: head, tex: head.replace(/^(?:\$|\\\()/, ""), display: false, open: true };
    }
    return undefined;
  },
};

/** As Pandoc reads it: no space inside the signs, no digit after them. */
function inDollars(source: string): RegExpExecArray | null {
  const match = /^\$(?![\s$])((?:\\[\s\S]|[^\\$\n]|\n(?![ \t]*\n))+?)(?<![\s\\])\$(?![\d$])/.exec(source);
  if (!match) return null;
  // "$5 or 10$": a sum of money and words, nothing that only a formula has.
  return /^\d[\d.,]*\s+\p{L}{2,}/u.test(match[1]!) && !/[\\^_={}]/.test(match[1]!) ? null : match;
}

function isLikely(tex: string): boolean {
  return /[\\^_{}]/.test(tex);
}

export interface Note extends Tokens.Generic {
  label: string;
}

/** `[^1]: text`, with lines that are indented below it. */
const note: TokenizerExtension = {
  name: "note",
  level: "block",
  start: (source) => /(?:^|\n)\[\^/.exec(paragraphOf(source))?.index,
  tokenizer(source): Note | undefined {
    const match = /^\[\^([\w-]{1,40})\]:[ \t]+([^\n]*(?:\n(?: {2,}|\t)[^\n]*\S[^\n]*)*)(?:\n|$)/.exec(source);
    if (!match) return undefined;
    const tokens: Note["tokens"] = [];
    this.lexer.inline(match[2]!.replace(/\n[ \t]+/g, "\n"), tokens);
    return { type: "note", raw: match[0], label: match[1]!, tokens };
  },
};

const noteMark: TokenizerExtension = {
  name: "noteMark",
  level: "inline",
  start: (source) => source.indexOf("[^"),
  tokenizer(source): Note | undefined {
    const match = /^\[\^([\w-]{1,40})\]/.exec(source);
    return match ? { type: "noteMark", raw: match[0], label: match[1]! } : undefined;
  },
};

export const parser = new Marked({ gfm: true, extensions: [note, noteMark, block, inline] });

/** The source's top-level blocks as they stand in it; what stands in their lines is not looked at. */
export function topLevel(source: string, isGrowing: boolean): Tokens.Generic[] {
  return whileGrowing(isGrowing, () => new Lexer({ ...parser.defaults }).blockTokens(source, []) as Tokens.Generic[]);
}

/** One block as HTML; `isGrowing`: its end may not have come. */
export function toHtml(source: string, isGrowing: boolean): string {
  return whileGrowing(isGrowing, () => parser.parse(source, { async: false }));
}

function whileGrowing<T>(isGrowing: boolean, work: () => T): T {
  growing = isGrowing;
  try {
    return work();
  } finally {
    growing = false;
  }
}
