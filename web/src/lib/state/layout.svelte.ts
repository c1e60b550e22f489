/** What is open on the screen: the sidebar (a drawer on narrow screens), a sheet, and where the focus should go. */

import { read, write } from "../storage";
import { touch } from "../touch";

/** The field where messages are written, as others may use it. */
interface ComposerField {
  focus(): void;
  fill(text: string): void;
}

const narrow = window.matchMedia("(max-width: 48rem)");

class Layout {
  narrow = $state(narrow.matches);
  sheet = $state<"palette" | "shortcuts" | "find" | "protect" | "tuning" | null>(null);
  /** What the search for chats begins with. */
  sought = $state("");
  modelMenu = $state(false);
  #docked = $state(read("sidebar") !== "closed");
  #drawer = $state(false);
  #composer: ComposerField | null = null;

  constructor() {
    narrow.addEventListener("change", (event) => {
      this.narrow = event.matches;
      this.#drawer = false;
    });
  }

  /** Whether the sidebar is there: docked on a wide screen, over the page on a narrow one. */
  get sidebar(): boolean {
    return this.narrow ? this.#drawer : this.#docked;
  }

  /** Whether the sidebar covers the page, which then is out of reach. */
  get covered(): boolean {
    return this.narrow && this.#drawer;
  }

  toggleSidebar(): void {
    if (this.narrow) {
      this.#drawer = !this.#drawer;
    } else {
      this.#docked = !this.#docked;
      write("sidebar", this.#docked ? null : "closed");
    }
  }

  closeFind(): void {
    this.sheet = null;
    this.sought = "";
  }

  closeDrawer(): void {
    this.#drawer = false;
  }

  /** For the composer, while it is on the page; returns how to take it back. */
  registerComposer(field: ComposerField): () => void {
    this.#composer = field;
    return () => {
      if (this.#composer === field) this.#composer = null;
    };
  }

  focusComposer(): void {
    if (touch.matches) return;
    // After what the caller changed is on the page: the composer may be a new one.
    requestAnimationFrame(() => this.#composer?.focus());
  }

  /** Puts text into the composer, for the person to change or send. */
  fillComposer(text: string): void {
    this.#composer?.fill(text);
    this.focusComposer();
  }
}

export const layout = new Layout();
