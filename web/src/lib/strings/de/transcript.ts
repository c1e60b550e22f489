/** The words of a long transcript. */

import type en from "../en/transcript";

const words: typeof en = {
  longChat: {
    messages: "Nachrichten",
    notLoaded: "Diese Nachricht konnte nicht geladen werden.",
    retry: "Erneut versuchen",
    contextFrom: (tokens: string) => `Was darüber steht, sieht das Modell nicht mehr: Sein Kontext fasst ${tokens} Token.`,
    contextCut: (tokens: string) => `Die ältesten Nachrichten passen nicht mehr in den Kontext des Modells (${tokens} Token) und fehlten bei dieser Antwort.`,
    contextHint: "Soll es wieder alles sehen, wähle ein Modell mit größerem Kontext, oder mach in einem neuen Chat mit einer Zusammenfassung weiter.",
  },
};
export default words;
