/** What a file of a language is called. */

// prettier-ignore
const EXTENSIONS: Record<string, string> = {
  bash: "sh", "c++": "cpp", clojure: "clj", csharp: "cs", dockerfile: "Dockerfile", elixir: "ex", haskell: "hs",
  html: "html", javascript: "js", jsx: "jsx", julia: "jl", kotlin: "kt", latex: "tex", makefile: "mk", markdown: "md",
  matlab: "m", mermaid: "mmd", objectivec: "m", perl: "pl", powershell: "ps1", python: "py", ruby: "rb", rust: "rs",
  shell: "sh", text: "txt", tsx: "tsx", typescript: "ts", yaml: "yml", zsh: "sh",
};

/** A name for what stands in a code block; the language's own tag is its extension where that looks like one. */
export function fileName(language: string): string {
  const tag = language.toLowerCase();
  const extension = EXTENSIONS[tag] ?? (/^[a-z0-9]{1,5}$/.test(tag) ? tag : "txt");
  return extension === "Dockerfile" ? extension : `code.${extension}`;
}

/** Gives a text to the person as a file. */
export function saveText(text: string, name: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** A table as a spreadsheet takes it: a line a row, a tab between cells. */
export function tableText(table: HTMLTableElement): string {
  const rows = Array.from(table.rows, (row) =>
    Array.from(row.cells, (cell) => (cell.innerText ?? cell.textContent ?? "").replace(/\s+/g, " ").trim()).join("\t"),
  );
  return rows.join("\n");
}
