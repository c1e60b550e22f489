/** What a branch that became a chat is called, so that it is told from the one it was part of. */

/** The server takes no longer titles. */
const LONGEST = 200;

/** `mark` puts the language's word for it before a title. A branch of a branch has it once, and no number of the first. */
export function branchTitle(title: string, mark: (title: string) => string): string {
  const word = mark("");
  const bare = title.startsWith(word) ? title.slice(word.length).replace(/ \(\d+\)$/, "") : title;
  return [...mark(bare)].slice(0, LONGEST).join("");
}
