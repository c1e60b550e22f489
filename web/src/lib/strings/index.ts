/**
 * Every word that the application shows, in the language of the page. English says which there are; the other
 * languages have the type of its files, so that none can be forgotten.
 */

import { language } from "../language";
import type account from "./en/account";
import type admin from "./en/admin";
import type answers from "./en/answers";
import type commands from "./en/commands";
import type models from "./en/models";
import type shell from "./en/index";
import type security from "./en/security";

/** What is fetched together: the shell's words before the page is shown, others before what needs them. */
export type Part = "index" | "account" | "admin" | "answers" | "commands" | "security" | "models";

type Strings = typeof shell & typeof account & typeof admin & typeof answers & typeof commands & typeof security & typeof models;

/** Filled part by part; whoever shows a part has loaded its words. */
export const strings = {} as Strings;

const files = import.meta.glob<Partial<Strings>>(
  ["./*/index.ts", "./*/account.ts", "./*/admin.ts", "./*/answers.ts", "./*/commands.ts", "./*/security.ts", "./*/models.ts"],
  { import: "default" },
);

export async function loadStrings(part: Part): Promise<void> {
  const load = files[`./${language}/${part}.ts`] ?? files[`./en/${part}.ts`];
  if (!load) throw new Error(`There are no words for ${part} in ${language}.`);
  Object.assign(strings, await load());
}

/** What loads a component and its words together. */
export function withStrings<T>(part: Part, load: () => Promise<T>): () => Promise<T> {
  return async () => {
    const [component] = await Promise.all([load(), loadStrings(part)]);
    return component;
  };
}
