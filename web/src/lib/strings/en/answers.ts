/** What an answer is made of: its tokens, its parts, and what can be done with them. */

import { plural } from "../../plural";

export default {
  tokens: {
    label: "Tokens of the answer",
    loading: "Reading the answer again",
    failed: "The tokens could not be scored.",
    retry: "Try again",
    intro: "Each token is coloured by how likely the model thought it, before temperature and other settings.",
    keys: "Arrow keys move from token to token, Enter goes to the alternatives.",
    legend: "Probability",
    numbers: "Show numbers",
    atLeast: (percent: string) => `≥ ${percent}`,
    below: (percent: string) => `< ${percent}`,
    perplexity: "Perplexity",
    perplexityHint: "As hard to guess as this many equally likely tokens",
    mean: "Mean probability",
    count: "Tokens",
    surprises: "Least likely",
    soFar: (count: string, total: string) => `The first ${count} of ${total} tokens`,
    more: "Show more tokens",
    tokenised: "No model here wrote this text as it stands; it was cut into tokens for this view.",
    changed: "The instructions or the messages above have changed since this was written, so the figures may differ from those of that moment.",
    first: "The first token has no probability.",
    /** What a screen reader says of a token. */
    told: (token: string, probability: string, rank: string) => `${token}, ${probability}, ${rank}`,
    rank: (rank: number) => `rank ${rank}`,
    rankBeyond: (count: number) => `not among the ${count} likeliest`,
    piece: (index: number, count: number) => `part ${index} of ${count} of a character`,
    alternatives: "Likeliest tokens here",
    chosen: "chosen",
    continueWith: (token: string) => `Continue with ${token}`,
    continueHint: "A new version of the answer keeps what comes before and goes on from the token that you choose.",
    ends: "ends the answer",
    space: "space",
    spaces: (count: number) => plural(count, { one: "# space", other: "# spaces" }),
    newLine: "new line",
    newLines: (count: number) => plural(count, { one: "# new line", other: "# new lines" }),
    tab: "tab",
    bytes: (hex: string) => `bytes ${hex}`,
  },
};
