/** What can be done with an answer, beside it, and what is shown in it. */

import { plural } from "../../plural";
import type en from "../en/answer";

const words: typeof en = {
  answer: {
    tokens: "Montrer la probabilité de chaque token",
    text: "Montrer la réponse elle-même",
    thinking: "Réflexion en cours",
    thought: "Réflexion",
    thoughtFor: (time: string) => `A réfléchi ${time} s`,
    copyText: "Copier en texte brut",
    wrap: "Renvoi à la ligne",
    download: "Télécharger",
    lines: (count: number) => plural(count, { one: "# ligne", other: "# lignes" }),
    copyTable: "Copier le tableau",
    footnotes: "Notes",
    formulaFailed: "Cette formule n’a pas pu être dessinée :",
    diagram: "Diagramme",
    diagramFailed: "Ce diagramme n’a pas pu être dessiné :",
    tooLong: "il est trop long",
    ended: "Fin",
    stop: "d’elle-même",
    length: "à la limite de longueur",
    cancelled: "par arrêt",
    context: "Contexte utilisé",
    used: (tokens: string, of: string, percent: string) => `${tokens} tokens sur ${of}, ${percent} %`,
    temperature: "Température",
    maxTokens: "Limite de longueur",
    penalty: "Pénalité de répétition",
  },
};
export default words;
