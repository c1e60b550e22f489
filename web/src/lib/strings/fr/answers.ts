/** What an answer is made of: its tokens, its parts, and what can be done with them. */

import { plural } from "../../plural";
import type en from "../en/answers";

const words: typeof en = {
  tokens: {
    label: "Tokens de la réponse",
    loading: "Relecture de la réponse",
    failed: "Les tokens n’ont pas pu être évalués.",
    retry: "Réessayer",
    intro: "La couleur de chaque token montre la probabilité que le modèle lui donnait, avant la température et les autres réglages.",
    keys: "Les flèches passent d’un token à l’autre, Entrée mène aux autres possibilités.",
    legend: "Probabilité",
    numbers: "Afficher les nombres",
    atLeast: (percent: string) => `≥ ${percent}`,
    below: (percent: string) => `< ${percent}`,
    perplexity: "Perplexité",
    perplexityHint: "Aussi difficile à deviner qu’autant de tokens de même probabilité",
    mean: "Probabilité moyenne",
    count: "Nombre de tokens",
    surprises: "Les moins probables",
    soFar: (count: string, total: string) => `Les ${count} premiers tokens sur ${total}`,
    more: "Afficher plus de tokens",
    tokenised: "Aucun modèle d’ici n’a écrit ce texte tel quel ; il a été découpé en tokens pour cette vue.",
    changed: "Les instructions ou les messages précédents ont changé depuis, les chiffres peuvent donc différer de ceux d’alors.",
    first: "Le premier token n’a pas de probabilité.",
    told: (token: string, probability: string, rank: string) => `${token}, ${probability}, ${rank}`,
    rank: (rank: number) => `rang ${rank}`,
    rankBeyond: (count: number) => `hors des ${count} plus probables`,
    piece: (index: number, count: number) => `partie ${index} sur ${count} d’un caractère`,
    alternatives: "Tokens les plus probables ici",
    chosen: "choisi",
    continueWith: (token: string) => `Continuer avec ${token}`,
    continueHint: "Une nouvelle version de la réponse garde ce qui précède et continue à partir du token choisi.",
    ends: "termine la réponse",
    space: "espace",
    spaces: (count: number) => plural(count, { one: "# espace", other: "# espaces" }),
    newLine: "saut de ligne",
    newLines: (count: number) => plural(count, { one: "# saut de ligne", other: "# sauts de ligne" }),
    tab: "tabulation",
    bytes: (hex: string) => `octets ${hex}`,
  },
};
export default words;
