/** La liste des discussions, les projets, les archives et la recherche. */

import { plural } from "../../plural";
import type en from "../en/chats";

const words: typeof en = {
  chats: {
    more: "Plus d’actions pour la liste des discussions",
    pinned: "Épinglées",
    pin: "Épingler",
    unpin: "Ne plus épingler",
    archive: "Archiver",
    restore: "Restaurer",
    move: "Déplacer vers un projet",
    save: { markdown: "Enregistrer en Markdown", json: "Enregistrer en JSON" },
    select: "Sélectionner",
    selectMany: "Sélectionner des discussions",
    archived: (count) =>
      plural(count, { one: "# discussion est dans les archives.", other: "# discussions sont dans les archives." }),
    moved: (count, project) =>
      plural(count, {
        one: `# discussion est maintenant dans « ${project} ».`,
        other: `# discussions sont maintenant dans « ${project} ».`,
      }),
    movedOut: (count) =>
      plural(count, {
        one: "# discussion n’est plus dans un projet.",
        other: "# discussions ne sont plus dans un projet.",
      }),
    deleted: (count) => plural(count, { one: "# discussion supprimée.", other: "# discussions supprimées." }),
    undo: "Annuler",
  },

  selection: {
    label: "Discussions sélectionnées",
    count: (count) => plural(count, { one: "# sélectionnée", other: "# sélectionnées" }),
    all: "Tout sélectionner",
    end: "Terminé",
    row: (title) => `Sélectionner ${title}`,
    remove: (count) => plural(count, { one: "Supprimer # discussion ?", other: "Supprimer # discussions ?" }),
    removeText:
      "Elles seront définitivement supprimées avec tous leurs messages. Les réponses en cours s’arrêtent.",
  },

  archive: {
    title: "Archives",
    text: "Les discussions archivées quittent la liste. La recherche les trouve toujours.",
    none: "Rien n’est archivé.",
    removeAll: "Tout supprimer",
    removeAllTitle: "Supprimer toutes les archives ?",
  },

  projects: {
    title: "Projets",
    make: "Nouveau projet",
    none: "Aucun projet",
    edit: "Modifier le projet",
    actions: (name) => `Actions pour le projet ${name}`,
    name: "Nom",
    instructions: "Consignes",
    instructionsHint: "Chaque modèle les reçoit avant chaque discussion du projet, après vos propres consignes.",
    noInstructions: "Pas encore de consignes.",
    submit: "Enregistrer",
    create: "Créer le projet",
    newChat: "Nouvelle discussion dans ce projet",
    chats: "Discussions du projet",
    empty: "Pas encore de discussion. Commencez-en une ici, ou déplacez-en une depuis son menu.",
    missing: "Ce projet n’existe pas",
    newChatIn: (name) => `Dans le projet ${name}`,
    leave: "Écrire hors du projet",
    remove: "Supprimer le projet",
    removeTitle: (name) => `Supprimer le projet « ${name} » ?`,
    removeText: "Ses discussions restent, hors de tout projet.",
    removeChats: "Supprimer aussi ses discussions",
    moveTitle: (count) => plural(count, { one: "Déplacer la discussion vers", other: "Déplacer # discussions vers" }),
  },

  find: {
    title: "Rechercher dans les discussions",
    placeholder: "Rechercher dans les titres et les messages",
    none: "Rien ne contient tous ces mots.",
    titles: "Discussions",
    messages: "Messages",
    recent: "Discussions récentes",
    more: "Afficher plus",
    failed: "La recherche a échoué.",
    archived: "archivée",
    count: (count) => plural(count, { one: "# résultat", other: "# résultats" }),
    hint: "Les guillemets cherchent une expression : \"comme ceci\".",
  },
};
export default words;
