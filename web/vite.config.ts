import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

// During development `vite` serves the page and hands everything else to a running `myna serve`.
// It answers its own origin alone, so what is passed on says that it comes from there.
const server = process.env["MYNA_SERVER"] ?? "http://127.0.0.1:8642";

/** A language's words are told by their names, such as words-de-account. */
function chunkName({ facadeModuleId }: { facadeModuleId?: string | null }): string {
  const words = /\/strings\/(\w+)\/(\w+)\.ts$/.exec(facadeModuleId ?? "");
  return words ? `assets/words-${words[1]}-${words[2]}-[hash].js` : "assets/[name]-[hash].js";
}

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: "es2022",
    // The strict content security policy allows no data: scripts, and a font or image inlined is one cached less.
    assetsInlineLimit: 0,
    // Only the highlighter is loaded later; the helper that preloads a chunk's own dependencies is not needed.
    modulePreload: false,
    reportCompressedSize: true,
    rolldownOptions: { output: { chunkFileNames: chunkName } },
  },
  server: {
    proxy: {
      "/api/events": { target: server, ws: true, changeOrigin: true, headers: { origin: server } },
      "/api": { target: server, changeOrigin: true, headers: { origin: server } },
    },
  },
});
