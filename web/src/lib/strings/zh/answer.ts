/** What can be done with an answer, beside it. */

import type en from "../en/answer";

const words: typeof en = {
  answer: {
    tokens: "显示每个词元的概率",
    text: "显示回答本身",
  },
};
export default words;
