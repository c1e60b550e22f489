/** German: the words of what can be done from anywhere, of its palette and of the sheet of shortcuts. */

import { plural } from "../../plural";
import type en from "../en/commands";

const words: typeof en = {
  commands: {
    palette: "Befehle, Chats und Modelle",
    newChat: "Neuer Chat",
    temporary: "Temporären Chat beginnen oder beenden",
    find: "Chats durchsuchen",
    write: "Nachricht schreiben",
    stop: "Antwort anhalten",
    copyAnswer: "Letzte Antwort kopieren",
    chooseModel: "Modell wählen",
    sidebar: "Seitenleiste zeigen oder verbergen",
    shortcuts: "Tastenkürzel",
    account: "Konto",
    keys: "API-Schlüssel",
    models: "Modelle",
    playground: "Spielwiese",
    compare: "Modelle vergleichen",
    archive: "Archiv",
    admin: "Verwaltung",
    users: "Benutzer",
    reference: "API-Referenz",
  },

  palette: {
    label: "Befehl oder Chat",
    placeholder: "Was möchtest du tun?",
    none: "Dazu passt nichts.",
    found: (count) => plural(count, { one: "# Treffer", other: "# Treffer" }),
    commands: "Befehle",
    chats: "Chats",
    projects: "Projekte",
    models: "Modelle",
    looks: "Darstellung",
    languages: "Sprache",
    findText: (query) => `Alle Chats nach „${query}“ durchsuchen`,
  },

  sheet: {
    send: "Senden",
    newLine: "Neue Zeile",
    messages: "Von Nachricht zu Nachricht gehen",
    enter: "Enter",
    shift: "Umschalt",
    escape: "Esc",
    single: "Mit „/“ allein eine Nachricht schreiben",
    singleHint: "Schalte es ab, wenn deine Stimme oder ein Versehen Tasten drückt.",
  },
};
export default words;
