/**
 * Mermaid diagrams, drawn one after the other in a shadow of their own. What Mermaid makes of a stranger's text is
 * sanitised last; its style sheet, which the content security policy would refuse as an element, is adopted as an object.
 */

import DOMPurify from "dompurify";
import mermaid from "mermaid";

/** Beyond these, laying a diagram out takes longer than anybody waits: it runs where the page does. */
const LONGEST_SOURCE = 6000;
const MOST_EDGES = 150;
/** Empty places of block diagrams, each of which Mermaid makes a block of: a short source can ask for any number. */
const MOST_PLACES = 500;
const PLACES = /space\s*:\s*(\d+)/g;

export class TooLong extends Error {}

interface Drawn {
  svg: string;
  css: string;
}

let count = 0;
let last: Promise<unknown> = Promise.resolve();
const kept = new Map<string, Drawn>();

/** Draws a source into an element. Throws `TooLong`, and what Mermaid says against the source. */
export async function draw(shadow: ShadowRoot, source: string, label: string, dark: boolean): Promise<void> {
  if (source.length > LONGEST_SOURCE || places(source) > MOST_PLACES) throw new TooLong();
  const key = `${dark}${source}`;
  const turn = last.then(async () => {
    let found = kept.get(key);
    if (!found) {
      found = await render(source, dark);
      if (kept.size > 50) kept.clear();
      kept.set(key, found);
    }
    return found;
  });
  // One that fails holds up none.
  last = turn.catch(() => undefined);
  show(shadow, await turn, label);
}

function places(source: string): number {
  return Array.from(source.matchAll(PLACES)).reduce((sum, [, count]) => sum + Number(count), 0);
}

function show(shadow: ShadowRoot, { svg, css }: Drawn, label: string): void {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`${css}\nsvg { max-width: 100%; height: auto; }`);
  shadow.adoptedStyleSheets = [sheet];
  const clean = DOMPurify.sanitize(svg, {
    USE_PROFILES: { svg: true, svgFilters: true },
    FORBID_TAGS: ["style", "script", "a", "image", "use", "foreignObject"],
    FORBID_ATTR: ["href", "xlink:href"],
    RETURN_DOM_FRAGMENT: true,
  });
  const drawn = clean.querySelector("svg");
  drawn?.setAttribute("role", "img");
  drawn?.setAttribute("aria-label", label);
  shadow.replaceChildren(clean);
}

async function render(source: string, dark: boolean): Promise<Drawn> {
  mermaid.initialize({
    startOnLoad: false,
    securityLevel: "strict",
    suppressErrorRendering: true,
    theme: dark ? "dark" : "default",
    maxTextSize: LONGEST_SOURCE,
    maxEdges: MOST_EDGES,
    fontFamily: "sans-serif",
    // HTML in labels would be laid out by what the sanitiser takes away.
    htmlLabels: false,
    flowchart: { htmlLabels: false, useMaxWidth: true },
    // A diagram's own text must not change what it may do, nor bring styles.
    secure: ["secure", "securityLevel", "startOnLoad", "maxTextSize", "maxEdges", "suppressErrorRendering", "themeCSS", "fontFamily", "htmlLabels"],
  });
  count += 1;
  const styles = new StyleTrap();
  try {
    const { svg } = await mermaid.render(`diagram-${count}`, withoutTags(source));
    return { svg, css: styles.css };
  } finally {
    styles.release();
  }
}

/** Tags in labels become text before Mermaid sees them, all but line breaks; `<|--` and `<<interface>>` are its own. */
function withoutTags(source: string): string {
  return source.replace(/(?<!<)<(?!br\s*\/?>)([/!]?[a-z][^<>]*)>(?!>)/gi, "‹$1›");
}

/**
 * While Mermaid draws, a style element that it makes is an empty element of SVG whose text becomes a sheet of the page:
 * Mermaid's rules name the one diagram that they are for, and it measures its texts with them.
 */
class StyleTrap {
  css = "";
  readonly #sheet = new CSSStyleSheet();
  readonly #create = document.createElement;

  constructor() {
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, this.#sheet];
    const create = this.#create.bind(document);
    document.createElement = ((name: string, options?: ElementCreationOptions) => {
      if (name !== "style") return create(name, options);
      const held = document.createElementNS("http://www.w3.org/2000/svg", "metadata");
      Object.defineProperty(held, "innerHTML", { set: (css: string) => this.#take(css) });
      return held;
    }) as typeof document.createElement;
  }

  release(): void {
    document.createElement = this.#create;
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((sheet) => sheet !== this.#sheet);
  }

  #take(css: string): void {
    this.css += css;
    this.#sheet.replaceSync(this.css);
  }
}
