/** Tokens with their probabilities, as the token view shows them. */

import { formatNumber } from "./format";

/** A token at a place: its text, or its bytes where it is only part of a character. */
export interface Candidate {
  id: number;
  text: string | null;
  bytes: number[] | null;
  /** Natural logarithm of its probability. */
  logprob: number;
  /** A mark with a name in place of a text, such as the one that ends an answer. */
  control: boolean;
}

export interface ScoredToken extends Omit<Candidate, "logprob"> {
  /** Null where nothing came before it that could have predicted it. */
  logprob: number | null;
  /** The likeliest tokens at its place, best first. */
  top: Candidate[];
}

/** Some of an answer's tokens, as `POST /api/messages/{id}/tokens` tells them. */
export interface TokenPage {
  tokens: ScoredToken[];
  first: number;
  total: number;
  model: string;
  /** These are the tokens that the model wrote; else the text was cut into tokens. */
  generated: boolean;
  /** Whether the prompt is as long as it was then; null: not known. */
  unchanged: boolean | null;
}

/** A token as it is drawn: the pieces of one character show it once. */
export interface Cell {
  shown: string;
  /** Which piece of a character it is, and of how many; null for a token that is whole. */
  piece: { index: number; count: number } | null;
}

/** Lower bounds of the probability of the classes that a token's colour and underline tell; the last has none. */
export const BOUNDS = [0.9, 0.6, 0.3, 0.1, 0.02] as const;

/** Which class a log-probability is of: 0, nearly certain, to 5; null without one. */
export function classOf(logprob: number | null): number | null {
  if (logprob === null) return null;
  const probability = Math.exp(logprob);
  const found = BOUNDS.findIndex((bound) => probability >= bound);
  return found < 0 ? BOUNDS.length : found;
}

/** How likely, for people: never 0 % and never 100 %, which it never is. */
export function formatProbability(logprob: number): string {
  const percent = Math.exp(logprob) * 100;
  if (percent < 0.1) return `< ${formatNumber(0.1)} %`;
  if (percent > 99.9) return `> ${formatNumber(99.9)} %`;
  return `${percent < 10 ? formatNumber(percent) : Math.round(percent)} %`;
}

/** The rank of what was chosen among the likeliest; null if it is not one of those that are known. */
export function rankOf(token: ScoredToken): number | null {
  const index = token.top.findIndex((rival) => rival.id === token.id);
  return index < 0 ? null : index + 1;
}

/** What is drawn for each token. Bytes that make up a character together show it at their first token. */
export function cells(tokens: readonly ScoredToken[]): Cell[] {
  const found: Cell[] = [];
  for (let start = 0; start < tokens.length; ) {
    const whole = tokens[start]!.text;
    const end = whole === null ? endOfPieces(tokens, start) : start + 1;
    if (whole !== null) found.push({ shown: whole, piece: null });
    else {
      const pieces = tokens.slice(start, end);
      const shown = decode(pieces.flatMap((token) => token.bytes ?? []));
      pieces.forEach((_, index) =>
        found.push({ shown: index === 0 ? shown : "", piece: { index: index + 1, count: pieces.length } }),
      );
    }
    start = end;
  }
  return found;
}

/** Where the pieces that begin at `start` have become whole characters, or what follows is no piece. */
function endOfPieces(tokens: readonly ScoredToken[], start: number): number {
  const bytes: number[] = [];
  for (let end = start; end < tokens.length; end += 1) {
    const token = tokens[end]!;
    if (token.text !== null && (token.control || end > start)) return end;
    bytes.push(...(token.bytes ?? []));
    if (!decode(bytes).includes("\ufffd")) return end + 1;
    // A character has four bytes at most; a token may end one and begin another.
    if (end - start >= 7) return end + 1;
  }
  return tokens.length;
}

function decode(bytes: readonly number[]): string {
  return new TextDecoder().decode(Uint8Array.from(bytes));
}

/** A token's text by itself, for a list: bytes in hexadecimal where it is no text. */
export function spelt(token: Pick<Candidate, "text" | "bytes">): string {
  if (token.text !== null) return token.text;
  return (token.bytes ?? []).map((byte) => byte.toString(16).toUpperCase().padStart(2, "0")).join(" ");
}

/** Pieces of a text for the eye: what is written, and the spaces, tabs and line ends in it as signs. */
export function visible(text: string): { text: string; sign: boolean }[] {
  const signs: Record<string, string> = { " ": "·", "\t": "→", "\n": "↵\n", "\r": "␍" };
  return (text.match(/[ \t\r\n]+|[^ \t\r\n]+/g) ?? []).map((piece) =>
    /^[ \t\r\n]/.test(piece)
      ? { text: Array.from(piece, (character) => signs[character]).join(""), sign: true }
      : { text: piece, sign: false },
  );
}

interface Summary {
  count: number;
  /** e to the mean of the negative log-probabilities: as many equally likely tokens would have been as hard to guess. */
  perplexity: number;
  /** Mean of the probabilities. */
  mean: number;
  /** Places of the least likely tokens, least likely first. */
  surprises: number[];
}

export function summarise(tokens: readonly ScoredToken[], surprises = 5): Summary | null {
  const known = tokens.flatMap(({ logprob }, index) => (logprob === null ? [] : [{ logprob, index }]));
  if (known.length === 0) return null;
  const sum = known.reduce((total, { logprob }) => total + logprob, 0);
  return {
    count: tokens.length,
    perplexity: Math.exp(-sum / known.length),
    mean: known.reduce((total, { logprob }) => total + Math.exp(logprob), 0) / known.length,
    surprises: known
      .toSorted((a, b) => a.logprob - b.logprob)
      .slice(0, surprises)
      .map(({ index }) => index),
  };
}
