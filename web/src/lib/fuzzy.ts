/** How well a text answers to a few typed letters. */

/** Without case and accents, so that "resume" finds "Résumé". */
function plain(text: string): string {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLocaleLowerCase();
}

/**
 * 0 where a typed word is not in the text, more for what fits better: a word's beginning counts most, then a place within
 * a word, then its letters in order with others between. Several typed words all have to fit, in any order.
 */
export function fit(text: string, query: string): number {
  const words = plain(query).split(/\s+/).filter(Boolean);
  const target = plain(text);
  let total = 1;
  for (const word of words) {
    const found = fitWord(target, word);
    if (found === 0) return 0;
    total += found;
  }
  return total;
}

function fitWord(target: string, word: string): number {
  const at = target.indexOf(word);
  if (at === 0) return 5;
  if (at > 0) return target.split(/[^\p{L}\p{N}]+/u).some((each) => each.startsWith(word)) ? 4 : 3;
  return word.length > 1 && inOrder(target, word) ? 1 : 0;
}

function startsWord(target: string, at: number): boolean {
  return !/[\p{L}\p{N}]/u.test(target[at - 1] ?? " ");
}

/** Whether the letters come in this order, the first of them at the beginning of a word. */
function inOrder(target: string, letters: string): boolean {
  for (let start = target.indexOf(letters[0]!); start >= 0; start = target.indexOf(letters[0]!, start + 1)) {
    if (!startsWord(target, start)) continue;
    let at = start;
    for (const letter of letters.slice(1)) if ((at = target.indexOf(letter, at + 1)) < 0) break;
    return at >= 0;
  }
  return false;
}
