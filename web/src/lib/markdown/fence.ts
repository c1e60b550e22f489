/**
 * A code block that is still being written. What comes goes to its end in the page: neither is what stands there parsed
 * again, nor laid out, nor coloured; that is done once, when the block ends.
 */

/** Lines of one run of plain code, which is laid out by itself. */
export const RUN_LINES = 100;
/** So short a block is drawn as a whole each time, in colours. */
const SHORT = 4000;

const OPENING = /^(?:[ \t]*\n)*(`{3,}(?=[^`\n]*\n)|~{3,}(?=[^\n]*\n))([^\n]*)\n/;
/** A line that may end a block, or be about to. */
const MARK = /^ {0,3}(?:[`~]|$)/;
const CLOSING = /^ {0,3}(`{3,}|~{3,}) *$/;

export interface Fence {
  language: string;
  code: string;
  closed: boolean;
}

/** What a block of Markdown is, if it is one code block between fences at the margin and nothing else. */
export function fenceOf(block: string): Fence | null {
  const opening = OPENING.exec(block);
  if (!opening) return null;
  const body = block.slice(opening[0].length);
  const end = body.trimEnd();
  const last = end.slice(end.lastIndexOf("\n") + 1);
  const mark = CLOSING.exec(last)?.[1];
  const closed = mark !== undefined && mark[0] === opening[1]![0] && mark.length >= opening[1]!.length;
  const code = closed ? end.slice(0, end.length - last.length) : body;
  return { language: opening[2]!.trim().split(/\s+/)[0] ?? "", code: code.replace(/\n$/, ""), closed };
}

/** What follows a text that ends within an open code block, if all of it is code too: nothing in it looks like an end. */
export function continuation(before: string, now: string): string | null {
  if (now.length < before.length || !now.startsWith(before)) return null;
  const line = before.lastIndexOf("\n") + 1;
  const fresh = now.slice(line);
  for (const each of fresh.split("\n")) if (each !== "" && MARK.test(each)) return null;
  return now.slice(before.length);
}

/** Plain code in runs of lines. */
export function runsOf(code: string): string[] {
  const lines = code.split("\n");
  const runs: string[] = [];
  for (let at = 0; at < lines.length; at += RUN_LINES) {
    const run = lines.slice(at, at + RUN_LINES).join("\n");
    runs.push(at + RUN_LINES < lines.length ? `${run}\n` : run);
  }
  return runs;
}

/** The end of an open code block in the page. */
export class OpenFence {
  #source: string;
  #code: Element;
  #tail: Text;
  #lines: number;
  #all: number;

  private constructor(source: string, code: Element, count: number) {
    this.#source = source;
    this.#code = code;
    this.#all = count;
    const run = code.lastElementChild?.classList.contains("run") ? code.lastElementChild : null;
    if (run?.lastChild instanceof Text) this.#tail = run.lastChild;
    else code.append((this.#tail = document.createTextNode("")));
    this.#lines = run ? (this.#tail.data.match(/\n/g)?.length ?? 0) : 0;
  }

  /** Of a block that was just drawn; null if it is something else, or short. */
  static of(source: string, drawn: Element): OpenFence | null {
    if (source.length < SHORT) return null;
    const fence = fenceOf(source);
    const code = drawn.querySelector("figure.code > pre > code");
    if (!fence || fence.closed || !code) return null;
    const made = new OpenFence(source, code, fence.code.split("\n").length);
    if (source.endsWith("\n")) made.#append("\n");
    return made;
  }

  /** Adds what the block has become longer by; false if it has to be drawn anew. */
  follow(source: string, said: (lines: number) => string): boolean {
    const text = continuation(this.#source, source);
    if (text === null) return false;
    this.#source = source;
    this.#append(text);
    const label = this.#code.closest("figure")?.querySelector(".lines");
    if (label) label.textContent = said(this.#all);
    return true;
  }

  #append(text: string): void {
    for (const line of text.match(/[^\n]*\n|[^\n]+/g) ?? []) {
      if (this.#lines >= RUN_LINES) {
        const run = document.createElement("span");
        run.className = "run";
        run.append((this.#tail = document.createTextNode("")));
        this.#code.append(run);
        this.#lines = 0;
      }
      this.#tail.appendData(line);
      if (line.endsWith("\n")) {
        this.#lines += 1;
        this.#all += 1;
      }
    }
  }
}
