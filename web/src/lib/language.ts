/** The language of the page: chosen by its user, else the first of the browser's that there is. */

import { read, write } from "./storage";

/** By the name each has for itself. */
export const LANGUAGES = {
  en: "English",
  de: "Deutsch",
  fr: "Français",
  es: "Español",
  zh: "简体中文",
  ar: "العربية",
} as const;

export type Language = keyof typeof LANGUAGES;

const RIGHT_TO_LEFT: ReadonlySet<string> = new Set<Language>(["ar"]);

export function isLanguage(name: string | null | undefined): name is Language {
  return typeof name === "string" && Object.hasOwn(LANGUAGES, name);
}

export function directionOf(name: Language): "rtl" | "ltr" {
  return RIGHT_TO_LEFT.has(name) ? "rtl" : "ltr";
}

/** The one of the page's languages that a BCP 47 tag such as "de-AT" asks for, if any. */
export function languageOf(tag: string | null): Language | null {
  const name = tag === null ? null : base(tag);
  return isLanguage(name) ? name : null;
}

const base = (tag: string): string => tag.split("-")[0]!.toLowerCase();

function choose(): Language {
  const chosen = read("language");
  if (isLanguage(chosen)) return chosen;
  return navigator.languages.map(languageOf).find(isLanguage) ?? "en";
}

export const language: Language = choose();

/** For numbers, dates and sorting: the language as it is written where the browser's user lives. */
export const locale: string = localeOf(language, navigator.languages);

export function localeOf(name: Language, tags: readonly string[]): string {
  // Traditional characters would stand beside the words' simplified ones.
  const fits = (tag: string) => base(tag) === name && (name !== "zh" || new Intl.Locale(tag).maximize().script === "Hans");
  const tag = tags.find(fits) ?? name;
  // One kind of digits on a page: models, code and the server's figures come with these.
  return name === "ar" ? `${tag.split("-u-")[0]}-u-nu-latn` : tag;
}

/** Tells the browser what it shows, before it shows it. */
export function announceLanguage(): void {
  document.documentElement.lang = language === "zh" ? "zh-Hans" : language;
  document.documentElement.dir = directionOf(language);
}

/** Begins anew in another language; what runs on the server goes on, and what was typed is kept. */
export function speak(chosen: Language): void {
  if (chosen === language) return;
  write("language", chosen);
  // Where nothing can be stored, the page would begin again as it is, for ever.
  if (read("language") === chosen) location.reload();
}
