/**
 * Which of many things of different heights are near what is looked at. Pure: heights in pixels, guessed until they
 * are measured; whoever draws keeps what is in sight in its place when a guess turns out wrong.
 */

/** Rows `first` to `last`, the latter excluded. */
export interface Range {
  first: number;
  last: number;
}

/** Where each row begins, and at the end where the last one ends. */
export function offsetsOf(heights: readonly number[], gap: number): number[] {
  const offsets = [0];
  let at = 0;
  for (const height of heights) offsets.push((at += height + gap));
  return offsets;
}

/** The row at a height of the page: the last one that begins at it or before. */
export function rowAt(offsets: readonly number[], top: number): number {
  let low = 0;
  let high = Math.max(0, offsets.length - 2);
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (offsets[middle]! <= top) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The rows that any part of is between two heights. */
export function rowsBetween(offsets: readonly number[], top: number, bottom: number): Range {
  if (offsets.length < 2) return { first: 0, last: 0 };
  return { first: rowAt(offsets, top), last: rowAt(offsets, bottom) + 1 };
}

export type Row = { kind: "row"; index: number } | { kind: "space"; key: string; height: number };

/** What is drawn: the rows of the range and those that must stay, with spaces in the place of all others. */
export function rowsOf(offsets: readonly number[], range: Range, stay: readonly number[], gap: number): Row[] {
  const count = offsets.length - 1;
  const drawn = new Set(stay.filter((index) => index >= 0 && index < count));
  for (let index = range.first; index < Math.min(range.last, count); index += 1) drawn.add(index);
  const rows: Row[] = [];
  let next = 0;
  const skip = (until: number): void => {
    // The gap behind a space is one that every neighbour has.
    if (until > next) rows.push({ kind: "space", key: `space ${next}`, height: offsets[until]! - offsets[next]! - gap });
  };
  for (const index of [...drawn].sort((a, b) => a - b)) {
    skip(index);
    rows.push({ kind: "row", index });
    next = index + 1;
  }
  skip(count);
  return rows;
}

const LETTERS_A_LINE = 85;
const LINE = 27;

/** A message's height before it was ever drawn, from the size of its text. */
export function guess(size: number, role: "user" | "assistant", width: number): number {
  // What a user wrote is folded when it is long.
  const shown = role === "user" ? Math.min(size, 1500) : size;
  const letters = Math.max(20, Math.min(LETTERS_A_LINE, width / 8.5));
  return 70 + LINE * Math.ceil(shown / letters);
}
