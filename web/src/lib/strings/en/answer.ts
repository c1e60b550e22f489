/** What can be done with an answer, beside it, and what is shown in it. */

import { plural } from "../../plural";

export default {
  answer: {
    tokens: "Show how likely each token was",
    text: "Show the answer itself",
    thinking: "Thinking",
    thought: "Thought",
    thoughtFor: (time: string) => `Thought for ${time} s`,
    copyText: "Copy as plain text",
    wrap: "Wrap lines",
    download: "Download",
    lines: (count: number) => plural(count, { one: "# line", other: "# lines" }),
    copyTable: "Copy table",
    footnotes: "Footnotes",
    formulaFailed: "This formula could not be drawn:",
    diagram: "Diagram",
    diagramFailed: "This diagram could not be drawn:",
    tooLong: "it is too long",
    ended: "Ended",
    stop: "by itself",
    length: "at the length limit",
    cancelled: "when it was stopped",
    context: "Context used",
    used: (tokens: string, of: string, percent: string) => `${tokens} of ${of} tokens, ${percent} %`,
    temperature: "Temperature",
    maxTokens: "Length limit",
    penalty: "Repetition penalty",
  },
};
