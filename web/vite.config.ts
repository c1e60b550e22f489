import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type Plugin, type Rolldown } from "vite";

// During development `vite` serves the page and hands everything else to a running `myna serve`.
// It answers its own origin alone, so what is passed on says that it comes from there.
const server = process.env["MYNA_SERVER"] ?? "http://127.0.0.1:8642";

/** A language's words are told by their names, such as words-de-account. */
function chunkName({ facadeModuleId }: { facadeModuleId?: string | null }): string {
  const words = /\/strings\/(\w+)\/(\w+)\.ts$/.exec(facadeModuleId ?? "");
  return words ? `assets/words-${words[1]}-${words[2]}-[hash].js` : "assets/[name]-[hash].js";
}

/** Every browser that reads this page knows WOFF2; the same fonts in older formats would be three times the size. */
const onlyWoff2 = {
  name: "only-woff2",
  enforce: "pre" as const,
  transform(code: string, id: string): string | null {
    if (!/katex.*\.css$/.test(id)) return null;
    return code.replace(/,\s*url\([^)]*\.(?:woff|ttf)\)\s*format\(["'](?:woff|truetype)["']\)/g, "");
  },
};

/** What few messages need is fetched with them, and not kept before: formulas and diagrams with all that they bring. */
const RARE = /\/markdown\/(?:diagrams|katex)\.ts$/;

/** The chunks that the page may ask for without one of those. */
function common(bundle: Rolldown.OutputBundle): Set<string> {
  const waiting = Object.values(bundle).flatMap((output) => (output.type === "chunk" && output.isEntry ? [output.fileName] : []));
  const found = new Set<string>();
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    const chunk = bundle[name];
    if (found.has(name) || chunk?.type !== "chunk" || RARE.test(chunk.facadeModuleId ?? "")) continue;
    found.add(name);
    waiting.push(...chunk.imports, ...chunk.dynamicImports);
  }
  return found;
}

/** Larger files (bytes) are kept in the browser when they are first used: most people never need them. */
const LARGEST_KEPT = 150_000;

/** What asks for everything else, and what the page needs beside it before it is usable. */
const FIRST = /\/src\/first\.ts$/;
const SHELL = /\/src\/shell\.ts$/;
const WORDS_NEED = /\/lib\/plural\.ts$/;

/** Names these in the page, so that they are fetched beside its script and not after it. */
function preload(): Plugin {
  return {
    name: "myna-preload",
    apply: "build",
    transformIndexHtml: {
      order: "post",
      handler(_html, { bundle = {} }) {
        const chunks = Object.values(bundle).filter((output) => output.type === "chunk");
        const needed = chunks.filter(({ moduleIds }) => moduleIds.some((id) => FIRST.test(id) || SHELL.test(id)));
        const scripts = new Set(needed.flatMap(({ fileName, imports }) => [fileName, ...imports]));
        const styles = needed.flatMap(({ viteMetadata }) => [...(viteMetadata?.importedCss ?? [])]);
        const tag = (rel: string, name: string) => ({
          tag: "link",
          attrs: { rel, crossorigin: true, href: `/${name}` },
          injectTo: "head" as const,
        });
        return [...[...scripts].map((name) => tag("modulepreload", name)), ...styles.map((name) => tag("stylesheet", name))];
      },
    },
  };
}

/** Writes worker/sw.js beside the page, with the names of the files that it keeps and a version made of their contents. */
function serviceWorker(): Plugin {
  return {
    name: "myna-service-worker",
    apply: "build",
    async generateBundle(_options, bundle) {
      // The page itself is written after this; it names the scripts, whose names are part of the version.
      const files = new Map<string, string | Uint8Array>([["/", await readFile("index.html")]]);
      const chunks = common(bundle);
      for (const output of Object.values(bundle)) {
        if (output.type === "chunk" ? !chunks.has(output.fileName) : /katex/i.test(output.fileName)) continue;
        const content = output.type === "chunk" ? output.code : output.source;
        if (content.length <= LARGEST_KEPT) files.set(`/${output.fileName}`, content);
      }
      for (const name of await readdir("public", { recursive: true }))
        if (name.includes(".")) files.set(`/${name}`, await readFile(join("public", name)));
      const source = readFileSync("worker/sw.js", "utf8");
      const hash = createHash("sha256").update(source);
      for (const name of [...files.keys()].sort()) hash.update(name).update(files.get(name)!);
      const filled = source
        .replace("__VERSION__", hash.digest("hex").slice(0, 16))
        .replace("__FILES__", JSON.stringify([...files.keys()].sort(), null, 2));
      this.emitFile({ type: "asset", fileName: "sw.js", source: filled });
    },
  };
}

export default defineConfig({
  plugins: [svelte(), onlyWoff2, preload(), serviceWorker()],
  build: {
    target: "es2022",
    // The strict content security policy allows no data: scripts, and a font or image inlined is one cached less.
    assetsInlineLimit: 0,
    // What the page needs at first is named in it (above); Vite's helper for all other chunks is not needed.
    modulePreload: false,
    reportCompressedSize: true,
    rolldownOptions: {
      output: {
        chunkFileNames: chunkName,
        // Two scripts instead of dozens.
        codeSplitting: {
          groups: [
            { name: "first", test: FIRST, priority: 1 },
            { name: "shell", test: (id) => SHELL.test(id) || WORDS_NEED.test(id) },
          ],
        },
      },
    },
  },
  server: {
    proxy: {
      "/api/events": { target: server, ws: true, changeOrigin: true, headers: { origin: server } },
      "/api": { target: server, changeOrigin: true, headers: { origin: server } },
    },
  },
});
