/**
 * Splits growing Markdown into blocks: those that no further text can change are settled and keep their identity, so
 * that only the tail is parsed and drawn again while an answer streams.
 */

import { continuation, fenceOf } from "./fence";
import { isTangled } from "./hard";
import { topLevel } from "./parser";

/** Blocks that each are drawn by themselves; of a text that has more, those that follow are drawn in runs. */
const MOST_ALONE = 300;
/** Letters from which on a run is long enough. */
const RUN_LENGTH = 2000;

/** Appends a block: as one of its own, or to a run that is not full. The same blocks always become the same runs. */
function append(blocks: string[], block: string): void {
  const last = blocks.length - 1;
  const run = blocks[last];
  const joins = last >= MOST_ALONE && run !== undefined && run.length < RUN_LENGTH && block.length < RUN_LENGTH;
  if (joins && !fenceOf(run) && !fenceOf(block)) blocks[last] = run + block;
  else blocks.push(block);
}

export class BlockSplitter {
  #settled: string[] = [];
  #settledLength = 0;
  #source = "";
  /** What follows the settled ones, and whether it ends within a code block. */
  #tail: string[] = [];
  #inFence = false;

  /**
   * The source's top-level blocks, as their own Markdown. Parses only what follows the settled part when `source`
   * continues the last one; `complete` says that nothing will follow.
   */
  update(source: string, complete: boolean): string[] {
    // The lexer reads every line end as \n; the lengths counted here must be those of the text it saw.
    if (source.includes("\r")) source = source.replace(/\r\n?/g, "\n");
    if (this.#inFence && !complete) {
      const more = continuation(this.#source, source);
      if (more !== null) {
        this.#source = source;
        this.#tail[this.#tail.length - 1] += more;
        return this.#all(this.#tail);
      }
    }
    if (!source.startsWith(this.#source) || complete) this.#reset();
    this.#source = source;
    const tail = this.#split(source.slice(this.#settledLength), !complete);
    if (!complete) this.#settle(tail);
    this.#tail = tail;
    this.#inFence = !complete && fenceOf(tail.at(-1) ?? "")?.closed === false;
    return this.#all(tail);
  }

  #all(tail: string[]): string[] {
    const all = [...this.#settled];
    for (const block of tail) append(all, block);
    return all;
  }

  #split(text: string, growing: boolean): string[] {
    // What cannot be told apart in time is cut at its empty lines.
    if (isTangled(text)) return text.split(/(?<=\n[ \t]*\n)/);
    const blocks: string[] = [];
    let blank = "";
    let at = 0;
    for (const token of topLevel(text, growing)) {
      // A token's own text may be tidied up; only its length is what was read.
      const raw = text.slice(at, (at += token.raw.length));
      // Blank lines belong to the block before them, or to the first one.
      if (token.type !== "space") blocks.push(blank + raw);
      else if (blocks.length > 0) blocks[blocks.length - 1] += raw;
      blank = blocks.length === 0 ? blank + raw : "";
    }
    return blocks;
  }

  /**
   * Moves all but the last two blocks of the tail to the settled ones. The last may still grow or become another kind
   * (a paragraph a heading or table, a list loose); while it does, it can merge with the one before it.
   */
  #settle(tail: string[]): void {
    for (const block of tail.splice(0, Math.max(0, tail.length - 2))) {
      append(this.#settled, block);
      this.#settledLength += block.length;
    }
  }

  #reset(): void {
    this.#settled = [];
    this.#settledLength = 0;
  }
}

/** Link reference definitions of the whole text: a block that uses one is rendered together with them. */
export function definitions(source: string): string {
  // Most texts have none, and this is asked at each token.
  if (!source.includes("]:")) return "";
  return source.match(/^ {0,3}\[(?!\^)[^\]\n]+\]:[ \t]*\S.*$/gm)?.join("\n") ?? "";
}

/** The footnotes that the whole text has, in the order in which it refers to them: a note's number is its place here. */
export function notes(source: string): string[] {
  if (!source.includes("[^") || !source.includes("]:")) return [];
  const all = new Set(Array.from(source.matchAll(/^\[\^([\w-]{1,40})\]:[ \t]/gm), ([, label]) => label!));
  const marked = Array.from(source.matchAll(/\[\^([\w-]{1,40})\](?!:)/g), ([, label]) => label!);
  return [...new Set([...marked.filter((label) => all.has(label)), ...all])];
}
