/** Die Liste der Chats, Projekte, das Archiv und die Suche. */

import { plural } from "../../plural";
import type en from "../en/chats";

const words: typeof en = {
  chats: {
    more: "Mehr zur Liste der Chats",
    pinned: "Angeheftet",
    pin: "Anheften",
    unpin: "Nicht mehr anheften",
    archive: "Archivieren",
    restore: "Wiederherstellen",
    move: "In ein Projekt verschieben",
    save: { markdown: "Als Markdown speichern", json: "Als JSON speichern" },
    select: "Auswählen",
    selectMany: "Chats auswählen",
    archived: (count) => plural(count, { one: "# Chat ist im Archiv.", other: "# Chats sind im Archiv." }),
    moved: (count, project) =>
      plural(count, { one: `# Chat ist jetzt in „${project}“.`, other: `# Chats sind jetzt in „${project}“.` }),
    movedOut: (count) =>
      plural(count, { one: "# Chat ist jetzt in keinem Projekt.", other: "# Chats sind jetzt in keinem Projekt." }),
    deleted: (count) => plural(count, { one: "# Chat ist gelöscht.", other: "# Chats sind gelöscht." }),
    undo: "Rückgängig",
  },

  selection: {
    label: "Ausgewählte Chats",
    count: (count) => plural(count, { one: "# ausgewählt", other: "# ausgewählt" }),
    all: "Alle auswählen",
    end: "Fertig",
    row: (title) => `${title} auswählen`,
    remove: (count) => plural(count, { one: "# Chat löschen?", other: "# Chats löschen?" }),
    removeText: "Sie werden mit allen Nachrichten endgültig gelöscht. Antworten, die gerade entstehen, enden.",
  },

  archive: {
    title: "Archiv",
    text: "Archivierte Chats stehen nicht in der Liste. Die Suche findet sie weiterhin.",
    none: "Nichts ist archiviert.",
    removeAll: "Alle löschen",
    removeAllTitle: "Alles im Archiv löschen?",
  },

  projects: {
    title: "Projekte",
    make: "Neues Projekt",
    none: "Kein Projekt",
    edit: "Projekt bearbeiten",
    actions: (name) => `Aktionen für das Projekt ${name}`,
    name: "Name",
    instructions: "Anweisungen",
    instructionsHint: "Das erfährt jedes Modell vor jedem Chat des Projekts, nach deinen eigenen Anweisungen.",
    noInstructions: "Noch keine Anweisungen.",
    submit: "Speichern",
    create: "Projekt anlegen",
    newChat: "Neuer Chat in diesem Projekt",
    chats: "Chats des Projekts",
    empty: "Noch keine Chats. Beginne hier einen, oder verschiebe einen über sein Menü hierher.",
    missing: "Dieses Projekt gibt es nicht",
    newChatIn: (name) => `Im Projekt ${name}`,
    leave: "Außerhalb des Projekts schreiben",
    remove: "Projekt löschen",
    removeTitle: (name) => `Das Projekt „${name}“ löschen?`,
    removeText: "Seine Chats bleiben, außerhalb aller Projekte.",
    removeChats: "Auch seine Chats löschen",
    moveTitle: (count) => plural(count, { one: "Den Chat verschieben nach", other: "# Chats verschieben nach" }),
  },

  find: {
    title: "Chats durchsuchen",
    placeholder: "Titel und Nachrichten durchsuchen",
    none: "Nirgends stehen alle diese Wörter.",
    titles: "Chats",
    messages: "Nachrichten",
    recent: "Letzte Chats",
    more: "Mehr anzeigen",
    failed: "Die Suche ist gescheitert.",
    archived: "archiviert",
    count: (count) => plural(count, { one: "# Treffer", other: "# Treffer" }),
    hint: "Anführungszeichen finden eine Wortfolge: \"wie diese\".",
  },
};
export default words;
