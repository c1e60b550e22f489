/** What can be done with an answer, beside it. */

import type en from "../en/answer";

const words: typeof en = {
  answer: {
    tokens: "Mostrar la probabilidad de cada token",
    text: "Mostrar la respuesta",
  },
};
export default words;
