/** What can be done with an answer, beside it. */

import type en from "../en/answer";

const words: typeof en = {
  answer: {
    tokens: "Zeigen, wie wahrscheinlich jedes Token war",
    text: "Die Antwort selbst zeigen",
  },
};
export default words;
