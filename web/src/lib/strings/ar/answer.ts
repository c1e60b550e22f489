/** What can be done with an answer, beside it. */

import type en from "../en/answer";

const words: typeof en = {
  answer: {
    tokens: "إظهار احتمال كل رمز",
    text: "إظهار الإجابة نفسها",
  },
};
export default words;
