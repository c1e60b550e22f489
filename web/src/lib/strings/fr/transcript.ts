/** The words of a long transcript. */

import type en from "../en/transcript";

const words: typeof en = {
  longChat: {
    messages: "Messages",
    notLoaded: "Ce message n’a pas pu être chargé.",
    retry: "Réessayer",
    contextFrom: (tokens: string) => `Le modèle ne voit plus ce qui précède : son contexte contient ${tokens} jetons.`,
    contextCut: (tokens: string) => `Les messages les plus anciens ne tiennent plus dans le contexte du modèle (${tokens} jetons) et ont été laissés de côté pour cette réponse.`,
    contextHint: "Pour qu’il voie de nouveau tout, choisissez un modèle au contexte plus grand, ou poursuivez dans une nouvelle discussion avec un résumé.",
  },
};
export default words;
