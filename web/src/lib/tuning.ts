/** How a model is asked: the parameters there are, their limits (the server's), and the text that stands for each. */

import type { Parameters } from "./types";

export interface NumberField {
  name: "temperature" | "top_p" | "top_k" | "min_p" | "max_tokens" | "repetition_penalty" | "presence_penalty" | "frequency_penalty" | "seed";
  low: number;
  high: number;
  /** Of the arrows. */
  step: number;
  whole: boolean;
}

/** The lowest and highest that the server takes; where it takes anything above 0, the least that is sensible. */
export const NUMBERS: readonly NumberField[] = [
  { name: "temperature", low: 0, high: 2, step: 0.1, whole: false },
  { name: "top_p", low: 0.01, high: 1, step: 0.05, whole: false },
  { name: "max_tokens", low: 1, high: 10_000_000, step: 64, whole: true },
  { name: "top_k", low: 0, high: 1_000_000, step: 1, whole: true },
  { name: "min_p", low: 0, high: 1, step: 0.01, whole: false },
  { name: "repetition_penalty", low: 0.01, high: 2, step: 0.05, whole: false },
  { name: "presence_penalty", low: -2, high: 2, step: 0.1, whole: false },
  { name: "frequency_penalty", low: -2, high: 2, step: 0.1, whole: false },
  { name: "seed", low: 0, high: Number.MAX_SAFE_INTEGER, step: 1, whole: true },
];
/** Shown at once; the others are folded. */
export const FIRST: ReadonlySet<string> = new Set(["temperature", "top_p", "max_tokens"]);

export const MOST_STOPS = 16;
export const LONGEST_STOP = 1024;

/** What is typed into the fields: a text each, empty where the model's own counts. */
export type Draft = Record<NumberField["name"] | "stop" | "dialect" | "thinking", string>;

export function draftOf(parameters: Parameters | null): Draft {
  const text = (value: number | undefined): string => (value === undefined ? "" : String(value));
  const given = parameters ?? {};
  return {
    ...(Object.fromEntries(NUMBERS.map(({ name }) => [name, text(given[name])])) as Record<NumberField["name"], string>),
    stop: (given.stop ?? []).map(escaped).join("\n"),
    dialect: given.dialect ?? "",
    thinking: given.thinking === undefined ? "" : given.thinking ? "on" : "off",
  };
}

/** Whether what is typed for a number can be sent. Empty is the model's own. */
export function isGood(field: NumberField, text: string): boolean {
  if (text.trim() === "") return true;
  const value = Number(text.replace(",", "."));
  return value >= field.low && value <= field.high && (!field.whole || Number.isInteger(value));
}

export function stopsOf(draft: Draft): string[] {
  return draft.stop.split("\n").filter((line) => line !== "").map(unescaped);
}

export function isWhole(draft: Draft): boolean {
  const stops = stopsOf(draft);
  return (
    NUMBERS.every((field) => isGood(field, draft[field.name])) &&
    stops.length <= MOST_STOPS &&
    stops.every((stop) => stop.length <= LONGEST_STOP)
  );
}

/** What is typed, as the server takes it; null where it is nothing. */
export function parametersOf(draft: Draft, before: Parameters | null): Parameters | null {
  const made: Parameters = before?.adapter === undefined ? {} : { adapter: before.adapter };
  for (const { name } of NUMBERS) {
    const text = draft[name].trim();
    if (text !== "") made[name] = Number(text.replace(",", "."));
  }
  const stops = stopsOf(draft);
  if (stops.length > 0) made.stop = stops;
  if (draft.dialect.trim() !== "") made.dialect = draft.dialect.trim();
  if (draft.thinking !== "") made.thinking = draft.thinking === "on";
  return Object.keys(made).length === 0 ? null : made;
}

/** A stop string on one line: a line end in it is written as \n. */
function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\t", "\\t");
}

function unescaped(line: string): string {
  return line.replace(/\\([\\nt])/g, (_, mark: string) => ({ n: "\n", t: "\t" })[mark] ?? mark);
}
