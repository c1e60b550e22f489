/** How two texts differ, word by word (Myers, "An O(ND) Difference Algorithm", 1986). */

import { language } from "./language";

export interface Piece {
  kind: "same" | "gone" | "new";
  text: string;
}

interface Difference {
  pieces: Piece[];
  /** Runs of words that one text has and the other has not. */
  places: number;
  /** They differ too much for it to be worth finding what they share: their middle is marked as a whole. */
  unlike: boolean;
}

/** Words changed beyond which texts are called unlike; the work grows with its square. */
const MOST_CHANGES = 1000;

const segmenter = "Segmenter" in Intl ? new Intl.Segmenter(language, { granularity: "word" }) : null;

/** Words and what is between them; together they are the text. Also of languages that put no spaces between words. */
export function words(text: string): string[] {
  if (segmenter) return Array.from(segmenter.segment(text), ({ segment }) => segment);
  return text.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? [];
}

export function difference(before: string, after: string): Difference {
  const a = words(before);
  const b = words(after);
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  const middle = changes(a.slice(start, a.length - end), b.slice(start, b.length - end));
  const pieces: Piece[] = [];
  put(pieces, "same", a.slice(0, start));
  if (middle) for (const { kind, text } of middle) put(pieces, kind, [text]);
  else {
    put(pieces, "gone", a.slice(start, a.length - end));
    put(pieces, "new", b.slice(start, b.length - end));
  }
  put(pieces, "same", a.slice(a.length - end));
  const places = pieces.filter(({ kind }, at) => kind !== "same" && (pieces[at - 1]?.kind ?? "same") === "same").length;
  return { pieces, places, unlike: middle === null };
}

/** The shortest way from one list of words to the other; null where it is too long to look for. */
function changes(a: readonly string[], b: readonly string[]): Piece[] | null {
  const most = Math.min(a.length + b.length, MOST_CHANGES);
  const trail: Int32Array[] = [];
  /** How far along `a` the diagonal k = x - y was followed, at index k + most. */
  const reach = new Int32Array(2 * most + 2);
  for (let steps = 0; steps <= most; steps += 1) {
    trail.push(reach.slice(most - steps, most + steps + 1));
    for (let k = -steps; k <= steps; k += 2) {
      const down = k === -steps || (k !== steps && at(reach, k - 1 + most) < at(reach, k + 1 + most));
      let x = down ? at(reach, k + 1 + most) : at(reach, k - 1 + most) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x += 1;
      reach[k + most] = x;
      if (x >= a.length && x - k >= b.length) return retrace(a, b, trail, steps);
    }
  }
  return null;
}

/** `trail[d]` holds the reach before step d, of the diagonals -d to d. */
function retrace(a: readonly string[], b: readonly string[], trail: readonly Int32Array[], steps: number): Piece[] {
  const pieces: Piece[] = [];
  let x = a.length;
  let y = b.length;
  for (let d = steps; d > 0; d -= 1) {
    const reach = trail[d] ?? new Int32Array();
    const k = x - y;
    const down = k === -d || (k !== d && at(reach, k - 1 + d) < at(reach, k + 1 + d));
    const from = down ? k + 1 : k - 1;
    const fromX = at(reach, from + d);
    const afterX = down ? fromX : fromX + 1;
    while (x > afterX) {
      pieces.push({ kind: "same", text: a[(x -= 1)] ?? "" });
      y -= 1;
    }
    if (down) pieces.push({ kind: "new", text: b[(y -= 1)] ?? "" });
    else pieces.push({ kind: "gone", text: a[(x -= 1)] ?? "" });
  }
  while (x > 0) pieces.push({ kind: "same", text: a[(x -= 1)] ?? "" });
  return pieces.reverse();
}

function at(reach: Int32Array, index: number): number {
  return reach[index] ?? 0;
}

function put(pieces: Piece[], kind: Piece["kind"], texts: readonly string[]): void {
  const text = texts.join("");
  if (text === "") return;
  const last = pieces.at(-1);
  if (last?.kind === kind) last.text += text;
  else pieces.push({ kind, text });
}
