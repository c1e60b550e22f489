import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { test } from "node:test";

const css = readFileSync(resolve(process.cwd(), "src/styles/tokens.css"), "utf8");

type Scheme = 0 | 1;

/** The colours of a block of tokens, for light (0) and dark (1). */
function colours(block: string): (scheme: Scheme) => Map<string, string> {
  const declared = [...block.matchAll(/--([\w-]+): (?:light-dark\((#\w{6}), (#\w{6})\)|(#\w{6}));/g)];
  return (scheme) => new Map(declared.map(([, name, light, dark, both]) => [name!, both ?? (scheme === 0 ? light! : dark!)]));
}

/** Relative luminance and contrast as WCAG 2.2 defines them. */
function luminance(hex: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const value = parseInt(hex.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

function contrast(one: string, other: string): number {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high! + 0.05) / (low! + 0.05);
}

const normal = colours(css.slice(0, css.indexOf(":root[data-contrast]")));
const high = colours(css.slice(css.indexOf(":root[data-contrast]")));

const SURFACES = ["canvas", "sunken", "raised", "bubble", "hover"];
/** Text and the surfaces that it stands on. */
const TEXT: [string[], string[]][] = [
  [["ink", "ink-soft"], [...SURFACES, "pressed", "code", "accent-wash", "danger-wash"]],
  [["ink-faint"], SURFACES],
  [["accent-text", "danger", "success"], ["canvas", "sunken", "raised"]],
  [["accent-text"], ["accent-wash"]],
  [["danger"], ["danger-wash"]],
  [["accent-ink"], ["accent", "accent-hover"]],
  [["danger-ink"], ["danger-fill"]],
  [["plumage-ink"], ["plumage"]],
  [["code-keyword", "code-string", "code-number", "code-comment", "code-title", "code-type"], ["code"]],
];
/** What tells that a control is there, and the focus, on the page. */
const MARKS: [string[], string[]][] = [[["control-line", "focus"], ["canvas", "sunken", "raised"]]];

function tooFaint(tokens: Map<string, string>, pairs: [string[], string[]][], least: number): string[] {
  return pairs.flatMap(([inks, surfaces]) =>
    inks.flatMap((ink) =>
      surfaces
        .map((surface) => [surface, contrast(tokens.get(ink)!, tokens.get(surface)!)] as const)
        .filter(([, found]) => found < least)
        .map(([surface, found]) => `${ink} on ${surface}: ${found.toFixed(2)}`),
    ),
  );
}

for (const [scheme, name] of [
  [0, "light"],
  [1, "dark"],
] as const) {
  test(`the ${name} theme can be read, and the high contrast one better`, () => {
    assert.deepEqual(tooFaint(normal(scheme), TEXT, 4.5), []);
    assert.deepEqual(tooFaint(normal(scheme), MARKS, 3), []);
    const contrasted = new Map([...normal(scheme), ...high(scheme)]);
    assert.deepEqual(tooFaint(contrasted, TEXT, 7), []);
    assert.deepEqual(tooFaint(contrasted, MARKS, 4.5), []);
  });
}

test("contrast is computed as the guideline does", () => {
  assert.equal(contrast("#000000", "#ffffff"), 21);
  assert.equal(contrast("#777777", "#ffffff").toFixed(2), "4.48");
});
