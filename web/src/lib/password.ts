/**
 * How hard a new password is to guess, roughly: a hint while it is typed. The server decides what it takes.
 * What follows from the character before, from words that everybody tries and from the person's name counts for little.
 */

export const SHORTEST_PASSWORD = 10;

export type Strength = "short" | "weak" | "fair" | "good";

const FAIR_BITS = 45;
const GOOD_BITS = 72;

const TRIED_FIRST = [
  "password", "passwort", "qwertyuiop", "qwerty", "qwertz", "azerty", "asdfgh", "zxcvbn", "1q2w3e4r", "letmein", "welcome",
  "iloveyou", "sunshine", "princess", "football", "baseball", "superman", "monkey", "dragon", "master", "shadow", "admin",
  "login", "secret", "changeme", "myna",
];

const ALPHABETS: [RegExp, number][] = [
  [/[a-z]/, 26],
  [/[A-Z]/, 26],
  [/[0-9]/, 10],
  [/[!-/:-@[-`{-~ ]/, 33],
  [/[^ -~]/, 100],
];

export function strengthOf(password: string, name = ""): Strength {
  if ([...password].length < SHORTEST_PASSWORD) return "short";
  let rest = password;
  let known = 0;
  for (const word of [...TRIED_FIRST, ...nameParts(name)]) {
    const without = removeAll(rest, word);
    if (without !== rest) known += 1;
    rest = without;
  }
  const alphabet = ALPHABETS.reduce((size, [present, more]) => size + (present.test(password) ? more : 0), 0);
  const bits = (surprises(rest) + known) * Math.log2(alphabet);
  return bits < FAIR_BITS ? "weak" : bits < GOOD_BITS ? "fair" : "good";
}

function nameParts(name: string): string[] {
  return name.toLowerCase().split(/[\s._@+'-]+/).filter((part) => part.length >= 3);
}

function removeAll(text: string, word: string): string {
  const lower = text.toLowerCase();
  // A few letters change their length in lower case; then places in the one are none in the other.
  if (lower.length !== text.length) return text;
  let kept = "";
  let from = 0;
  for (let at = lower.indexOf(word); at >= 0; at = lower.indexOf(word, from)) {
    kept += text.slice(from, at);
    from = at + word.length;
  }
  return kept + text.slice(from);
}

/** Characters that are not the one before again, nor its neighbour as in "abc" and "321". */
function surprises(text: string): number {
  let count = 0;
  let before: number | undefined;
  for (const character of text) {
    const code = character.codePointAt(0)!;
    if (before === undefined || Math.abs(code - before) > 1) count += 1;
    before = code;
  }
  return count;
}
