import { readdirSync } from "node:fs";
import { join } from "node:path";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

// The unit tests as plain modules for `node --test`, which cannot read TypeScript in every Node that builds Myna.
const here = import.meta.dirname;
const tests = readdirSync(here).filter((name) => name.endsWith(".test.ts"));

export default defineConfig({
  root: here,
  logLevel: "warn",
  // State with runes, as it is on a server: values that nobody watches.
  plugins: [svelte({ configFile: false })],
  build: {
    ssr: true,
    target: "node20",
    outDir: join(here, "../node_modules/.cache/myna-tests"),
    emptyOutDir: true,
    rolldownOptions: { input: tests.map((name) => join(here, name)) },
  },
  ssr: { noExternal: true },
});
