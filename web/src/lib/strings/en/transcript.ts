/** The words of a long transcript. */

export default {
  longChat: {
    messages: "Messages",
    notLoaded: "This message could not be loaded.",
    retry: "Try again",
    contextFrom: (tokens: string) => `The model no longer sees what is above: its context holds ${tokens} tokens.`,
    contextCut: (tokens: string) => `The oldest messages no longer fit into the model’s context of ${tokens} tokens and were left out of this answer.`,
    contextHint: "To have it all in view again, choose a model with a larger context, or go on in a new chat with a summary.",
  },
};
