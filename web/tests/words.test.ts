import assert from "node:assert/strict";
import { test } from "node:test";
import { LANGUAGES } from "../src/lib/language";

type Words = { [key: string]: Word };
type Word = string | ((...values: never[]) => string) | Words | Word[];

const files = import.meta.glob<Words>("../src/lib/strings/*/*.ts", { eager: true, import: "default" });
const wordsOf = (language: string, file: string) => files[`../src/lib/strings/${language}/${file}.ts`];
const names = Object.keys(files)
  .filter((path) => path.includes("/en/"))
  .map((path) => path.split("/").at(-1)!.replace(".ts", ""));
const others = Object.keys(LANGUAGES).filter((language) => language !== "en");

const sources = Object.values(
  import.meta.glob<string>(["../src/**/*.{svelte,ts}", "!../src/lib/strings/**"], { eager: true, query: "?raw", import: "default" }),
).join("\n");

/** Names, keys of the keyboard, units and words that a language writes as English does. */
const SAME_IN: Record<string, readonly string[]> = {
  "*": ["Myna", "Enter", "Esc", "Shift", "SQLite", "PostgreSQL", "OpenAI", "TOTP", "SHA-256", "Top-p", "Top-k", "Min-p"],
  de: ["Chats", "Prompt", "Prompts", "Name", "Admin", "Token", "Tokens", "Version", "Administration", "Status", "Seed", "Code", "Export", "Repository", "Passkey", "Passkeys"],
  fr: ["Licence", "Message", "Messages", "Conversation", "Prompt", "Prompts", "Version", "Administration", "Date", "Actions", "Type", "Code", "Export", "Sessions", "Invitations"],
  es: ["Chats", "Prompt", "Prompts", "Token", "Tokens", "Error"],
  zh: [],
  ar: [],
};

/** Every word of a file by its path, such as "sidebar.newChat". */
function* leaves(word: Word, path: string[] = []): Generator<[string, string | ((...values: never[]) => string)]> {
  if (typeof word === "string" || typeof word === "function") yield [path.join("."), word];
  else for (const [key, part] of Object.entries(word)) yield* leaves(part, [...path, key]);
}

const isSame = (language: string, word: string): boolean =>
  ["*", language].some((key) => SAME_IN[key]!.includes(word)) || !/\p{L}{2}/u.test(word);

for (const language of others) {
  test(`${language} says everything that English says, and says it itself`, () => {
    const wrong: string[] = [];
    for (const name of names) {
      const theirs = new Map(leaves(wordsOf(language, name) ?? {}));
      const ours = new Map(leaves(wordsOf("en", name)!));
      for (const path of new Set([...ours.keys(), ...theirs.keys()])) {
        const [word, other] = [ours.get(path), theirs.get(path)];
        // What the server says in English needs no translation there.
        if (path.startsWith("codes.")) continue;
        if (word === undefined || other === undefined) wrong.push(`${name}.${path} is in one language alone`);
        else if (typeof word !== typeof other) wrong.push(`${name}.${path} is another kind of value`);
        // Fewer would lose a value, more would show "undefined".
        else if (typeof word === "function") other.length === word.length || wrong.push(`${name}.${path} takes other values`);
        else if (other === "") wrong.push(`${name}.${path} is empty`);
        else if (other === word && !isSame(language, word)) wrong.push(`${name}.${path} is English: ${word}`);
      }
    }
    assert.deepEqual(wrong, []);
  });
}

test("the same error codes are known in every language", () => {
  const codes = (language: string) => Object.keys(wordsOf(language, "errors")!["codes"] as Words);
  for (const language of others) assert.deepEqual(codes(language), codes("de"), language);
});

test("each language is written in its own script, with its own punctuation", () => {
  const scripts: Record<string, RegExp> = { zh: /\p{Script=Han}/u, ar: /\p{Script=Arabic}/u };
  for (const [language, script] of Object.entries(scripts))
    for (const name of names)
      for (const [path, word] of leaves(wordsOf(language, name) ?? {}))
        if (typeof word === "string" && !isSame(language, word))
          assert.match(word, script, `${language}: ${name}.${path}`);
  for (const name of names)
    for (const [path, word] of leaves(wordsOf("fr", name) ?? {}))
      if (typeof word === "string") assert.doesNotMatch(word, /[^\u202f\u00a0\s][?!;](\s|$)| [?!:;]( |$)/, `fr: ${name}.${path}`);
});

test("every word is shown somewhere", () => {
  const found = (pattern: RegExp) => [...sources.matchAll(pattern)];
  /** What stands before a dot and behind it, and what a value in brackets chooses from. */
  const read = new Set(found(/(\w+)(?=\??\.(\w+))/g).map(([, owner, key]) => `${owner}.${key}`));
  const chosenFrom = new Set(found(/(\w+)\[/g).map(([, owner]) => owner!));
  /** Under which names the words at a key are kept: `const words = $derived(strings.models.menu)`. */
  const keptAs = new Map<string, string[]>();
  for (const [, name, key] of found(/(\w+) = (?:\$derived\()?strings\.(?:\w+\.)*(\w+)\)?;/g))
    keptAs.set(key!, [...(keptAs.get(key!) ?? []), name!]);
  const namesOf = (key: string) => [key, ...(keptAs.get(key) ?? [])];

  const isRead = (path: string[]): boolean =>
    path.slice(0, -1).some((key) => /^\d+$/.test(key) || namesOf(key).some((name) => chosenFrom.has(name))) ||
    namesOf(path.at(-2)!).some((name) => read.has(`${name}.${path.at(-1)}`));
  const unread = names
    .filter((name) => name !== "index" && name !== "errors")
    .flatMap((name) => [...leaves(wordsOf("en", name)!)].map(([path]) => `${name}.${path}`))
    .filter((path) => !isRead(["strings", ...path.split(".").slice(1)]));
  assert.deepEqual(unread, []);
});
