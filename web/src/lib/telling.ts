/** A token in words, for those who do not see its colour or the spaces in it. */

import { strings } from "./strings";
import { formatProbability, rankOf, spelt, type Candidate, type Cell, type ScoredToken } from "./tokens";

/** What is written, with spaces and line ends that stand alone as words. */
export function named(token: Pick<Candidate, "text" | "bytes">): string {
  const words = strings.tokens;
  if (token.text === null) return words.bytes(spelt(token));
  if (token.text.trim() !== "" || token.text === "") return token.text.trim();
  const lines = token.text.split("\n").length - 1;
  if (lines > 0) return lines === 1 ? words.newLine : words.newLines(lines);
  if (token.text.includes("\t")) return words.tab;
  return token.text.length === 1 ? words.space : words.spaces(token.text.length);
}

export function rankInWords(token: ScoredToken): string {
  const rank = rankOf(token);
  return rank === null ? strings.tokens.rankBeyond(token.top.length) : strings.tokens.rank(rank);
}

/** A token as a screen reader says it: "token, 43 %, rank 2". */
export function tell(token: ScoredToken, piece: Cell["piece"]): string {
  const name = piece ? `${named(token)}, ${strings.tokens.piece(piece.index, piece.count)}` : named(token);
  if (token.logprob === null) return `${name}, ${strings.tokens.first}`;
  return strings.tokens.told(name, formatProbability(token.logprob), rankInWords(token));
}
