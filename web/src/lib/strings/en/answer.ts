/** What can be done with an answer, beside it. */

export default {
  answer: {
    tokens: "Show how likely each token was",
    text: "Show the answer itself",
  },
};
