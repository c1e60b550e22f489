/** French: the words of what can be done from anywhere, of its palette and of the sheet of shortcuts. */

import { plural } from "../../plural";
import type en from "../en/commands";

const words: typeof en = {
  commands: {
    palette: "Commandes, discussions et modèles",
    newChat: "Nouvelle discussion",
    temporary: "Commencer ou terminer une discussion temporaire",
    find: "Rechercher dans les discussions",
    write: "Écrire un message",
    stop: "Arrêter la réponse",
    copyAnswer: "Copier la dernière réponse",
    chooseModel: "Choisir un modèle",
    sidebar: "Afficher ou masquer le panneau latéral",
    shortcuts: "Raccourcis clavier",
    account: "Compte",
    keys: "Clés d’API",
    models: "Modèles",
    playground: "Bac à sable",
    compare: "Comparer des modèles",
    archive: "Archives",
    admin: "Administration",
    users: "Utilisateurs",
    reference: "Référence de l’API",
  },

  palette: {
    label: "Commande ou discussion",
    placeholder: "Que souhaitez-vous faire ?",
    none: "Rien ne correspond.",
    found: (count) => plural(count, { one: "# résultat", other: "# résultats" }),
    commands: "Commandes",
    chats: "Discussions",
    projects: "Projets",
    models: "Modèles",
    looks: "Apparence",
    languages: "Langue",
    findText: (query) => `Rechercher « ${query} » dans toutes les discussions`,
  },

  sheet: {
    send: "Envoyer",
    newLine: "Nouvelle ligne",
    messages: "Passer d’un message à l’autre",
    enter: "Entrée",
    shift: "Maj",
    escape: "Échap",
    single: "Utiliser « / » seul pour écrire un message",
    singleHint: "Désactivez-le si votre voix ou un geste involontaire appuie sur des touches.",
  },
};
export default words;
