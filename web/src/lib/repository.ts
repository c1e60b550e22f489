/** Names of models on Hugging Face, as people write or paste them. */

const ADDRESS = /^(?:https?:\/\/)?(?:www\.)?(?:huggingface\.co|hf\.co)\//;
const PLACE = /^([\w.-]+\/[\w.-]+)(?:\/(?:tree|blob|resolve)\/[^/]+(?:\/(.+?))?|:(.+?))?\/?$/;

/** "hf:owner/repository", with ":file" where one is named; null for what is no such place. */
export function repositoryName(written: string): string | null {
  const plain = written.trim().replace(/[?#].*$/, "").replace(/^hf:/, "").replace(ADDRESS, "");
  const found = PLACE.exec(plain);
  if (found === null) return null;
  const file = found[2] ?? found[3];
  return `hf:${found[1]}${file === undefined ? "" : `:${file}`}`;
}
