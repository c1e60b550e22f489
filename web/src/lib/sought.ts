/**
 * Where what was searched for stands in a text: read as the server reads a query (`myna/store/query.py`), and as
 * careless of case, accents and width.
 */

/** Words and phrases of a query that count, as on the server. */
const MOST_TERMS = 12;
/** Letters of a word that is also taken as the beginning of longer ones; of the last, two. */
const SHORTEST_BEGINNING = 3;
const QUOTES = /["\u201c\u201d\u201e\u00ab\u00bb\u300c\u300d]/;
/** Writing that puts no spaces between words. */
const UNSPACED =
  "\\p{sc=Han}\\p{sc=Hiragana}\\p{sc=Katakana}\\p{sc=Bopomofo}\\p{sc=Thai}\\p{sc=Lao}\\p{sc=Myanmar}\\p{sc=Khmer}ー";
const LETTER = "[\\p{L}\\p{N}]";

/** What finds the words of a query in a folded text; null if it has none. */
export function patternOf(query: string): RegExp | null {
  const word = new RegExp(`([${UNSPACED}]+)|(?:(?![${UNSPACED}])${LETTER})+`, "gu");
  // Every second piece is between quotes.
  const terms = query.split(QUOTES).flatMap((piece, number) => {
    const words = [...fold(piece).text.matchAll(word)].map(([text, unspaced]) => ({ text, spaced: unspaced === undefined }));
    return number % 2 === 1 && words.length > 0 ? [{ words, phrase: true }] : words.map((each) => ({ words: [each], phrase: false }));
  });
  const patterns = terms.slice(0, MOST_TERMS).map(({ words, phrase }, index) => {
    const least = index === terms.length - 1 ? SHORTEST_BEGINNING - 1 : SHORTEST_BEGINNING;
    return words
      .map(({ text, spaced }) => {
        if (!spaced) return text;
        return `(?<!${LETTER})${text}${!phrase && text.length >= least ? "" : `(?!${LETTER})`}`;
      })
      .join("[^\\p{L}\\p{N}]{0,20}");
  });
  return patterns.length === 0 ? null : new RegExp(patterns.join("|"), "gu");
}

/** Beginnings and ends of what the pattern finds in a text, in order. */
export function placesOf(text: string, pattern: RegExp): [number, number][] {
  const folded = fold(text);
  return [...folded.text.matchAll(pattern)].map(({ 0: found, index }) => [
    folded.at(index),
    folded.at(index + found.length - 1, true),
  ]);
}

/** A text in which a word is written in one way, and where each of its letters begins, or ends, in the text as it was. */
function fold(text: string): { text: string; at: (index: number, end?: boolean) => number } {
  if (/^[\0-\x7f]*$/.test(text)) return { text: text.toLowerCase(), at: (index, end) => (end ? index + 1 : index) };
  let folded = "";
  const begins: number[] = [];
  const ends: number[] = [];
  let place = 0;
  for (const letter of text) {
    const bare = letter < "\x80" ? letter : letter.normalize("NFKD").replace(/\p{M}/gu, "").normalize("NFC");
    const plain = bare.toLowerCase().replace("ß", "ss");
    // An accent that stands for itself belongs to the letter before it.
    if (plain === "" && ends.length > 0) ends[ends.length - 1] = place + letter.length;
    for (let each = 0; each < plain.length; each += 1) {
      begins.push(place);
      ends.push(place + letter.length);
    }
    folded += plain;
    place += letter.length;
  }
  return { text: folded, at: (index, end) => (end ? ends : begins)[index] ?? place };
}
