/** Formulas, drawn by KaTeX, which is loaded with the first of them. */

type Katex = (typeof import("./katex"))["katex"];

/** What is drawn again and again while an answer grows is drawn once. */
const MOST_KEPT = 500;
/** Macros that are expanded in one formula. */
const MOST_EXPANSIONS = 200;
/** Where a formula defines macros of its own, each may be as long as the formula: signs of all expansions together. */
const MOST_EXPANDED = 20_000;
const DEFINES = /\\(?:[gex]?def|(?:re)?newcommand|providecommand|let|futurelet)(?![a-z])/i;

let katex = $state.raw<Katex | null>(null);
let loading: Promise<void> | null = null;
const kept = new Map<string, { html: string } | { error: string }>();

async function load(): Promise<void> {
  try {
    katex = (await import("./katex")).katex;
  } catch {
    // The server is away: the next formula tries again.
    loading = null;
  }
}

function expansions(tex: string): number {
  return DEFINES.test(tex) ? Math.min(MOST_EXPANSIONS, Math.floor(MOST_EXPANDED / tex.length)) : MOST_EXPANSIONS;
}

/** A formula as HTML (not yet sanitised), why it has none, or null until KaTeX is here; an effect that calls it runs again then. */
export function formula(tex: string, display: boolean): { html: string } | { error: string } | null {
  if (katex === null) {
    loading ??= load();
    return null;
  }
  const key = `${display}${tex}`;
  let found = kept.get(key);
  if (!found) {
    if (kept.size >= MOST_KEPT) kept.clear();
    try {
      // Nothing in a formula loads or links; macros and sizes have bounds.
      found = { html: katex.renderToString(tex, { displayMode: display, strict: false, trust: false, maxExpand: expansions(tex), maxSize: 20 }) };
    } catch (error) {
      found = { error: error instanceof Error ? error.message.replace(/^KaTeX parse error: /, "").replace(/,? at (?:position|end of input).*/s, "") : "" };
    }
    kept.set(key, found);
  }
  return found;
}
