/**
 * Text made to be slow: Markdown's grammar takes time that grows with the square of some things, so what has far too
 * much of them is shown as it is. What people and models write is nowhere near.
 */

/** Characters of one block. */
const LONGEST_BLOCK = 200_000;
/** Characters of a line outside of a code block: a book's chapter. */
const LONGEST_LINE = 50_000;
/** Signs of the same kind in a row, or brackets that are open at once. */
const MOST_SIGNS = 300;
const DEEPEST = 40;
/** Signs of one block that each make an element: cells, links, lines of a list. */
const MOST_ELEMENTS = 12_000;

const IN_A_ROW = new RegExp(`([\\[\\](){}<>*_~\`!$&|\\\\])\\1{${MOST_SIGNS},}`);
const QUOTES = new RegExp(`^[ \\t]*(?:>[ \\t]?|(?:[-+*]|\\d{1,9}[.)])[ \\t]){${DEEPEST},}`, "m");

/** Whether a block, or a whole source, is not to be parsed. */
export function isHard(source: string): boolean {
  return source.length > LONGEST_BLOCK || isTangled(source) || isCrowded(source);
}

/** Whether a block becomes more elements than the page can lay out at once. */
function isCrowded(source: string): boolean {
  let elements = 0;
  for (let at = 0; at < source.length; at += 1) {
    const sign = source.charCodeAt(at);
    if (sign === 124 || sign === 91 || sign === 10) elements += 1;
  }
  return elements > MOST_ELEMENTS;
}

/** Whether the blocks of a source cannot be told apart in time. */
export function isTangled(source: string): boolean {
  if (IN_A_ROW.test(source) || QUOTES.test(source)) return true;
  let line = 0;
  let open = 0;
  let marks = 0;
  for (let at = 0; at < source.length; at += 1) {
    const sign = source.charCodeAt(at);
    if (sign === 10) {
      line = at;
      open = 0;
      marks = 0;
    } else if (sign === 91) open += 1;
    else if (sign === 93) open = Math.max(0, open - 1);
    else if (sign === 42 || sign === 95 || sign === 126 || sign === 96) marks += 1;
    if (at - line > LONGEST_LINE || open > MOST_SIGNS || marks > 20 * MOST_SIGNS) return true;
  }
  return false;
}
