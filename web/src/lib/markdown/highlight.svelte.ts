/** Syntax highlighting, loaded on first use; until then (and for unknown languages) code is plain. */

type Highlighter = (typeof import("./languages"))["hljs"];

/** Beyond this, colouring costs more time than it gives. */
const LONGEST_CODE = 20_000;

let hljs = $state.raw<Highlighter | null>(null);
let loading: Promise<void> | null = null;

async function load(): Promise<void> {
  try {
    hljs = (await import("./languages")).hljs;
  } catch {
    // The server is away: the next code block tries again.
    loading = null;
  }
}

/** Code as highlighted HTML (escaped), or null when it stays plain. An effect that calls it runs again when the highlighter arrives. */
export function highlight(code: string, language: string): string | null {
  if (language === "" || code.length > LONGEST_CODE) return null;
  if (hljs === null) {
    loading ??= load();
    return null;
  }
  if (!hljs.getLanguage(language)) return null;
  return hljs.highlight(code, { language, ignoreIllegals: true }).value;
}

// prettier-ignore
const NAMES: Record<string, string> = {
  bash: "Bash", c: "C", cpp: "C++", "c++": "C++", cs: "C#", csharp: "C#", css: "CSS", diff: "Diff", go: "Go",
  html: "HTML", java: "Java", js: "JavaScript", javascript: "JavaScript", json: "JSON", md: "Markdown",
  markdown: "Markdown", mermaid: "Mermaid", php: "PHP", py: "Python", python: "Python", rb: "Ruby", ruby: "Ruby", rs: "Rust", rust: "Rust",
  sh: "Shell", shell: "Shell", sql: "SQL", ts: "TypeScript", typescript: "TypeScript", xml: "XML", yaml: "YAML",
  yml: "YAML",
};

/** A language tag as people write the language's name. */
export function languageName(language: string): string {
  return NAMES[language.toLowerCase()] ?? (language === "" ? "Text" : language);
}
