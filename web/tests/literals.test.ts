import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { parse } from "svelte/compiler";

const SOURCES = resolve(process.cwd(), "src");
/** What is read out or shown of an element beside its text. */
const SHOWN = new Set(["alt", "aria-description", "aria-label", "aria-placeholder", "aria-roledescription", "aria-valuetext", "label", "placeholder", "text", "title"]);
const LETTER = /\p{L}{2,}/u;

type Node = Record<string, unknown> & { type: string };

/** Texts and shown attributes that are written into a component instead of a language's file. */
function literals(source: string): string[] {
  const found: string[] = [];
  const visit = (value: unknown, within: string | null): void => {
    if (Array.isArray(value)) return value.forEach((each) => visit(each, within));
    if (typeof value !== "object" || value === null || !("type" in value)) return;
    const node = value as Node;
    if (node.type === "Text" && within === null && LETTER.test(String(node["data"]))) found.push(String(node["data"]).trim());
    const attribute = /Attribute|Directive$/.test(node.type) ? String(node["name"]) : within;
    if (node.type === "Attribute" && SHOWN.has(String(node["name"]))) return visit(node["value"], null);
    // A literal in an expression that is shown: {busy ? "Wait" : "Go"}.
    if (node.type === "Literal" && within === null && typeof node["value"] === "string" && LETTER.test(node["value"])) {
      if (shown.has(node)) found.push(node["value"]);
    }
    if (node.type === "ExpressionTag" && within === null) results(node["expression"] as Node).forEach((each) => shown.add(each));
    for (const [key, part] of Object.entries(node)) if (key !== "metadata" && key !== "parent") visit(part, attribute);
  };
  const shown = new Set<Node>();
  visit((parse(source, { modern: true }) as unknown as { fragment: Node }).fragment, null);
  return found;
}

/** What an expression may come to, as far as that is written in it. */
function results(node: Node): Node[] {
  if (node.type === "ConditionalExpression") return [...results(node["consequent"] as Node), ...results(node["alternate"] as Node)];
  if (node.type === "LogicalExpression") return [...results(node["left"] as Node), ...results(node["right"] as Node)];
  return [node];
}

const components = readdirSync(SOURCES, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".svelte"));

test("no component has words of its own", () => {
  assert.ok(components.length > 30);
  const all = components.flatMap((name) => literals(readFileSync(join(SOURCES, name), "utf8")).map((text) => `${name}: ${text}`));
  assert.deepEqual(all, []);
});

test("words in a component are found wherever they are shown", () => {
  assert.deepEqual(literals('<p class="small">Hello {name}</p>'), ["Hello"]);
  assert.deepEqual(literals('<button aria-label="Close it" type="button">×</button>'), ["Close it"]);
  assert.deepEqual(literals('<Field label={busy ? "Waiting" : words.ready} />'), ["Waiting"]);
  assert.deepEqual(literals('<p class={busy ? "busy" : "idle"}>{count} {words.of(total, "x")}</p>'), []);
});
