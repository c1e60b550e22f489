/** The language of the page: chosen by its user, else the first of the browser's that there is. */

import { read, write } from "./storage";

/** By the name each has for itself. */
export const LANGUAGES = {
  en: "English",
} as const;

export type Language = keyof typeof LANGUAGES;

const RIGHT_TO_LEFT = new Set<string>(["ar"]);

function isKnown(name: string | undefined): name is Language {
  return name !== undefined && name in LANGUAGES;
}

function choose(): Language {
  const chosen = read("language") ?? undefined;
  if (isKnown(chosen)) return chosen;
  return navigator.languages.map((tag) => tag.split("-")[0]).find(isKnown) ?? "en";
}

export const language: Language = choose();

/** For numbers, dates and sorting: the language as it is written where the browser's user lives. */
export const locale: string = navigator.languages.find((tag) => tag.split("-")[0] === language) ?? language;

/** Tells the browser what it shows, before it shows it. */
export function announceLanguage(): void {
  document.documentElement.lang = language;
  document.documentElement.dir = RIGHT_TO_LEFT.has(language) ? "rtl" : "ltr";
}

/** Begins anew in another language; what runs on the server goes on, and what was typed is kept. */
export function speak(chosen: Language): void {
  write("language", chosen);
  location.reload();
}
