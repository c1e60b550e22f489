/** Ce que l’on fait des messages : modifier, copier, dériver, comparer et mettre en attente. */

import { plural } from "../../plural";
import type en from "../en/conversation";

const words: typeof en = {
  editing: {
    actions: "Plus d’actions pour ce message",
    answerLabel: "Modifier la réponse",
    save: "Enregistrer",
    saveCopy: "Enregistrer une copie",
    overwrite: "Enregistrer quand même",
    edited: "Modifié",
    editedAt: (time) => `Modifié ${time}`,
    elsewhere: "Ce message a été modifié entre-temps dans un autre onglet. Votre texte est conservé ici\u00a0: enregistrez-le quand même, ou comme copie.",
    dropped: "Vos modifications ont été abandonnées.",
    fork: "Dériver vers une nouvelle discussion",
    forked: "Voici la dérivation, une discussion à part entière.",
    branchOf: (title: string) => `Dérivation · ${title}`,
    compare: "Comparer les versions",
  },

  compare: {
    title: "Comparer les versions",
    left: "Première version",
    right: "Deuxième version",
    version: (index, count) => `Version ${index} sur ${count}`,
    same: "Les deux versions disent la même chose.",
    differ: (count) => plural(count, { one: "# différence", other: "# différences" }),
    unlike: "Ces versions ont peu en commun\u00a0: tout est marqué.",
    removed: "seulement dans la première\u00a0:",
    added: "seulement dans la deuxième\u00a0:",
    close: "Fermer",
  },

  queue: {
    send: "Envoyer après cette réponse",
    waits: "Sera envoyé quand la réponse ci-dessus sera terminée",
    held: "Non envoyé\u00a0: la réponse ci-dessus s’est arrêtée avant la fin",
    now: "Envoyer maintenant",
    withdraw: "Reprendre",
    late: "Il est déjà envoyé, et la réponse est en cours.",
    answer: "La réponse viendra après celle du dessus.",
  },

  temporary: {
    title: "Discussion temporaire",
    start: "Discussion temporaire",
    end: "Terminer cette discussion temporaire",
    note: "Elle n’est enregistrée nulle part et ne figure dans aucune liste. Elle disparaît quand vous la quittez, ou dix minutes après la fermeture de cet onglet.",
    hint: "Enregistrée nulle part : elle disparaît quand vous la quittez.",
    over: "La discussion temporaire est terminée ; rien n’en a été conservé.",
  },

  drafts: {
    notKept: "Le stockage de ce navigateur est plein ou bloqué\u00a0: votre texte n’est conservé que tant que cette page reste ouverte.",
  },
};
export default words;
