import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";

const SOURCES = resolve(process.cwd(), "src");
const names = readdirSync(SOURCES, { recursive: true, encoding: "utf8" });
const tokens = readFileSync(join(SOURCES, "styles/tokens.css"), "utf8");

const COLOUR = /#[0-9a-f]{3,8}\b|\b(?:rgb|hsl|oklch)a?\(|light-dark\(/i;
/** Properties whose values are a scale: the same everywhere, or chosen anew by a person. */
const SCALED = /^(?:margin|padding|gap|row-gap|column-gap|font-size|font-family|font-weight|border-radius|box-shadow|transition|animation)(?:-|$)/;
const LENGTH = /(?<![\w-])-?\d*\.?\d+(?:px|rem|em|ms|s)\b/g;
/** Lines and what hangs on them, and what moves for as long as something is under way. */
const FINE = /^(?:-?[1-3]px|0\.\d+m?s|1?\.?\d+s|-?1px|-?0?\.\d+em|1\.\d+em)$/;

/** Declarations of a stylesheet or of a component's style element, with what is in comments left out. */
function declarations(source: string): [string, string][] {
  const css = source.replace(/\/\*[\s\S]*?\*\//g, "");
  return [...css.matchAll(/(?:^|[;{])\s*([\w-]+):\s*([^;{}]+)(?=[;}])/g)].map(([, property, value]) => [property!, value!.trim()]);
}

function styleOf(name: string): string {
  const source = readFileSync(join(SOURCES, name), "utf8");
  return name.endsWith(".css") ? source : (/<style>([\s\S]*)<\/style>/.exec(source)?.[1] ?? "");
}

function raw(style: string): string[] {
  return declarations(style)
    .filter(([property, value]) => {
      if (COLOUR.test(value)) return true;
      if (/\dpx\b/.test(value) && (value.match(LENGTH) ?? []).some((length) => length.endsWith("px") && !FINE.test(length))) return true;
      return SCALED.test(property) && (value.match(LENGTH) ?? []).some((length) => !FINE.test(length));
    })
    .map(([property, value]) => `${property}: ${value}`);
}

const styled = names.filter((name) => name.endsWith(".svelte") || (name.endsWith(".css") && !name.endsWith("tokens.css")));

test("components take colours, space, type and motion from the tokens", () => {
  assert.ok(styled.length > 50);
  assert.deepEqual(styled.flatMap((name) => raw(styleOf(name)).map((found) => `${name}: ${found}`)), []);
  assert.deepEqual(raw("p { color: #fff; margin: 5px; padding: 0.3rem var(--space-1); width: 12rem; border: 1px solid var(--line) }"), [
    "color: #fff",
    "margin: 5px",
    "padding: 0.3rem var(--space-1)",
  ]);
});

test("every token that is used exists, and every token that exists is used", () => {
  const declared = new Set([...tokens.matchAll(/^\s*--([\w-]+):/gm)].map(([, name]) => name!));
  const sources = names
    .filter((name) => /\.(svelte|css|ts)$/.test(name))
    .map((name) => readFileSync(join(SOURCES, name), "utf8"))
    .join("\n");
  const own = new Set([...sources.matchAll(/(?:^|[;{\s"])--([\w-]+)(?::|=)/g)].map(([, name]) => name!));
  const used = new Set([...sources.matchAll(/var\(--([\w-]+)/g)].map(([, name]) => name!));
  assert.deepEqual([...used].filter((name) => !declared.has(name) && !own.has(name)), []);
  assert.deepEqual([...declared].filter((name) => !used.has(name)), []);
});

test("nothing is laid out by left and right", () => {
  const physical = /^(?:margin|padding|border|inset)?-?(?:left|right)(?:-|$)|^(?:text-align|float)$/;
  const found = styled.flatMap((name) =>
    declarations(styleOf(name))
      .filter(([property, value]) => physical.test(property) && (!/^(?:text-align|float)$/.test(property) || /left|right/.test(value)))
      .map(([property, value]) => `${name}: ${property}: ${value}`),
  );
  assert.deepEqual(found, []);
});
