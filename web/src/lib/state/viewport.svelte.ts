/** What of a conversation is near what is looked at: the scrolling region, its rows' heights, and what is kept in sight. */

import { guess, offsetsOf, rowAt, rowsBetween, rowsOf, type Range } from "../windowing";
import type { ChatMessage } from "./message.svelte";

/** So close to the end counts as being there, in pixels. */
const AT_END = 48;
/** Drawn beyond what is in sight, in heights of the region. */
const BEYOND = 1;

export class Viewport {
  /** At the end, where an answer grows: what comes is kept in sight. */
  following = $state(true);
  /** Rows that are drawn. */
  range = $state.raw<Range>({ first: 0, last: 0 });

  #path: () => readonly ChatMessage[];
  #scroller: HTMLElement | null = null;
  #column: HTMLElement | null = null;
  #gap = 0;
  #measured = new Map<string, number>();
  #width = 0;
  #known = $state(0);
  /** A message that was jumped to and stays where it was put until the reader scrolls. */
  #held: string | null = null;
  #ids = new WeakMap<Element, string>();
  #observer: ResizeObserver | null = null;
  #lastTop = 0;
  /** Whether the reader's hand last went up: however little that is, it leads away from what comes at the end. */
  #upward = false;

  readonly offsets = $derived.by(() => {
    void this.#known;
    return offsetsOf(this.#path().map((message) => this.#heightOf(message)), this.#gap);
  });
  /** The row with the focus stays drawn wherever one scrolls to, or the focus would be lost. */
  #focused = $state(-1);
  readonly rows = $derived(rowsOf(this.offsets, this.range, [this.#focused], this.#gap));

  constructor(path: () => readonly ChatMessage[]) {
    this.#path = path;
  }

  /** The column may be scrolled within the region from now on. Gives back what undoes this. */
  attach(scroller: HTMLElement, column: HTMLElement): () => void {
    this.#scroller = scroller;
    this.#column = column;
    this.#gap = parseFloat(getComputedStyle(column).rowGap) || 0;
    this.#known += 1;
    const observer = new ResizeObserver((entries) => this.#measure(entries));
    observer.observe(scroller);
    this.#observer = observer;
    this.toEnd();
    return () => {
      observer.disconnect();
      this.#scroller = null;
      this.#path = () => [];
    };
  }

  /** Rows were drawn: their elements in order, and which messages they show. */
  drawn(elements: Iterable<Element>, ids: readonly string[]): void {
    let index = 0;
    for (const element of elements) {
      const id = ids[index++];
      if (id === undefined) return;
      if (this.#ids.get(element) === id) continue;
      this.#ids.set(element, id);
      this.#observer?.observe(element);
    }
  }

  scrolled(): void {
    const scroller = this.#scroller;
    // The browser tells of scrolling a moment later, also when the region has left the page by then.
    if (!scroller) return;
    const top = scroller.scrollTop;
    const distance = scroller.scrollHeight - top - scroller.clientHeight;
    if (!this.#upward && distance <= AT_END && this.range.last >= this.#path().length) this.following = true;
    else if (top < this.#lastTop) this.following = false;
    this.#lastTop = top;
    this.#look();
  }

  /** The reader scrolls by himself. */
  release(upward = false): void {
    this.#held = null;
    this.#upward = upward;
  }

  toEnd(): void {
    this.following = true;
    this.release();
    const count = this.#path().length;
    const page = this.#page();
    const end = this.offsets[count] ?? 0;
    this.#show(rowsBetween(this.offsets, end - page * (1 + BEYOND), end));
    if (this.#scroller) this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }

  /** Puts a message at the top of what is in sight. */
  toMessage(index: number): void {
    const message = this.#path()[index];
    if (!message) return;
    this.following = false;
    this.#held = message.id;
    const top = this.offsets[index] ?? 0;
    this.#show(rowsBetween(this.offsets, top - this.#page(), top + this.#page() * (1 + BEYOND)));
  }

  /** Has a place of the message that was jumped to in sight, unless the reader scrolls already. */
  toPlace({ top, bottom }: DOMRect): void {
    if (!this.#scroller || this.#held === null) return;
    const region = this.#scroller.getBoundingClientRect();
    if (top >= region.top && bottom <= region.bottom) return;
    this.#held = null;
    this.#scroller.scrollTop += top - region.top - region.height / 3;
  }

  /** After the rows are in the page: what is held or followed is put where it belongs. */
  settle(): void {
    if (!this.#scroller || !this.#column) return;
    if (this.following && !this.#isWritten()) {
      this.#scroller.scrollTop = this.#scroller.scrollHeight;
    } else if (this.#held !== null) {
      const element = this.elementOf(this.#held);
      if (element) this.#scroller.scrollTop += this.#topOf(element) - this.#gap;
    }
    this.#lastTop = this.#scroller.scrollTop;
  }

  elementOf(id: string): HTMLElement | null {
    for (const element of this.#column?.children ?? []) {
      if (element instanceof HTMLElement && this.#ids.get(element) === id) return element;
    }
    return null;
  }

  focused(id: string | null): void {
    this.#focused = id === null ? -1 : this.#path().findIndex((message) => message.id === id);
  }

  idOf(element: Element): string | null {
    return this.#ids.get(element) ?? null;
  }

  /** The message in the middle of what is in sight. */
  get center(): number {
    const scroller = this.#scroller;
    return scroller ? rowAt(this.offsets, scroller.scrollTop + scroller.clientHeight / 2) : 0;
  }

  /** Its height, as it was measured or guessed. */
  heightAt(index: number): number {
    return (this.offsets[index + 1] ?? 0) - (this.offsets[index] ?? 0) - this.#gap;
  }

  /** Whether somebody writes in a message, which must not move away from under the hands. */
  #isWritten(): boolean {
    const field = document.activeElement;
    return field instanceof HTMLTextAreaElement && this.#column!.contains(field);
  }

  #look(): void {
    const scroller = this.#scroller!;
    const top = scroller.scrollTop - this.#page() * BEYOND;
    this.#show(rowsBetween(this.offsets, top, scroller.scrollTop + this.#page() * (1 + BEYOND)));
  }

  #show(range: Range): void {
    if (range.first !== this.range.first || range.last !== this.range.last) this.range = range;
  }

  #page(): number {
    return this.#scroller?.clientHeight || window.innerHeight;
  }

  #topOf(element: Element): number {
    return element.getBoundingClientRect().top - this.#scroller!.getBoundingClientRect().top;
  }

  #heightOf(message: ChatMessage): number {
    return this.#measured.get(message.id) ?? guess(message.size, message.role, this.#width || 700);
  }

  #measure(entries: readonly ResizeObserverEntry[]): void {
    let changed = false;
    for (const { target, borderBoxSize, contentRect } of entries) {
      if (target === this.#scroller) {
        // Text of another width has other heights.
        if (this.#width !== 0 && this.#width !== contentRect.width) this.#measured.clear();
        this.#width = contentRect.width;
        changed = true;
        continue;
      }
      const id = this.#ids.get(target);
      const height = borderBoxSize[0]?.blockSize ?? 0;
      if (id === undefined || !target.isConnected || this.#measured.get(id) === height) continue;
      this.#measured.set(id, height);
      changed = true;
    }
    if (!changed) return;
    this.#known += 1;
    this.settle();
    this.#look();
  }
}
