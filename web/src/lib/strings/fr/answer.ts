/** What can be done with an answer, beside it. */

import type en from "../en/answer";

const words: typeof en = {
  answer: {
    tokens: "Montrer la probabilité de chaque token",
    text: "Montrer la réponse elle-même",
  },
};
export default words;
