/** The places of diagrams in a text: each is drawn when its block is there, and again when the theme changes. */

import { strings } from "../strings";

const places = new Map<HTMLElement, string>();
let watching = false;

/** Draws what diagrams there are in an element; those that cannot be drawn stay as their source, with a word why. */
export function drawIn(element: HTMLElement): void {
  for (const figure of element.querySelectorAll<HTMLElement>("figure.diagram")) {
    const host = figure.querySelector<HTMLElement>(".drawing");
    const source = figure.querySelector("code")?.textContent ?? "";
    if (!host || places.get(host) === source) continue;
    places.set(host, source);
    watch();
    void draw(host, source);
  }
}

async function draw(host: HTMLElement, source: string): Promise<void> {
  const figure = host.parentElement;
  if (!figure) return;
  // What stands in a shadow is left alone when the text around it is drawn again.
  const shadow = host.shadowRoot ?? host.attachShadow({ mode: "open" });
  try {
    const diagrams = await import("./diagrams");
    try {
      await diagrams.draw(shadow, source, strings.answer.diagram, isDark());
      figure.classList.add("drawn");
      figure.classList.remove("failed");
    } catch (error) {
      const reason = error instanceof diagrams.TooLong ? strings.answer.tooLong : firstLine(error);
      shadow.textContent = `${strings.answer.diagramFailed} ${reason}`;
      figure.classList.add("failed");
      figure.classList.remove("drawn");
    }
  } catch {
    // Mermaid could not be fetched: the source can be read, and the next look at it tries again.
    places.delete(host);
  }
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0]!.slice(0, 200);
}

function isDark(): boolean {
  const scheme = getComputedStyle(document.documentElement).colorScheme;
  if (scheme === "dark" || scheme === "light") return scheme === "dark";
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

function watch(): void {
  if (watching) return;
  watching = true;
  const again = () => {
    for (const [host, source] of places) {
      if (host.isConnected) void draw(host, source);
      else places.delete(host);
    }
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  new MutationObserver(again).observe(document.documentElement, { attributeFilter: ["data-theme"] });
}
