/** Was man mit Nachrichten tut: ändern, kopieren, abzweigen, vergleichen und warten lassen. */

import { plural } from "../../plural";
import type en from "../en/conversation";

const words: typeof en = {
  editing: {
    actions: "Mehr zu dieser Nachricht",
    answerLabel: "Antwort bearbeiten",
    save: "Speichern",
    saveCopy: "Als Kopie speichern",
    overwrite: "Trotzdem speichern",
    edited: "Bearbeitet",
    editedAt: (time) => `Bearbeitet ${time}`,
    elsewhere: "Diese Nachricht wurde inzwischen in einem anderen Tab geändert. Dein Text ist noch hier: Speichere ihn trotzdem oder als Kopie.",
    dropped: "Deine Änderungen wurden verworfen.",
    fork: "In einen neuen Chat abzweigen",
    forked: "Das ist die Abzweigung, ein eigener Chat.",
    branchOf: (title: string) => `Abzweigung · ${title}`,
    compare: "Fassungen vergleichen",
  },

  compare: {
    title: "Fassungen vergleichen",
    left: "Erste Fassung",
    right: "Zweite Fassung",
    version: (index, count) => `Fassung ${index} von ${count}`,
    same: "Beide Fassungen sagen dasselbe.",
    differ: (count) => plural(count, { one: "# Stelle unterscheidet sich", other: "# Stellen unterscheiden sich" }),
    unlike: "Diese Fassungen haben wenig gemeinsam: Alles ist hervorgehoben.",
    removed: "nur in der ersten:",
    added: "nur in der zweiten:",
    close: "Schließen",
  },

  queue: {
    send: "Nach dieser Antwort senden",
    waits: "Wird gesendet, sobald die Antwort darüber fertig ist",
    held: "Nicht gesendet: Die Antwort darüber endete vorzeitig",
    now: "Jetzt senden",
    withdraw: "Zurücknehmen",
    late: "Sie ist schon gesendet, und die Antwort wird geschrieben.",
    answer: "Die Antwort kommt nach der darüber.",
  },

  temporary: {
    title: "Temporärer Chat",
    start: "Temporärer Chat",
    end: "Diesen temporären Chat beenden",
    note: "Er wird nirgends gespeichert und steht in keiner Liste. Er ist weg, wenn du ihn verlässt, oder zehn Minuten nachdem du diesen Tab schließt.",
    hint: "Nirgends gespeichert: weg, sobald du ihn verlässt.",
    over: "Der temporäre Chat ist vorbei; nichts davon wurde behalten.",
  },

  drafts: {
    notKept: "Der Speicher dieses Browsers ist voll oder gesperrt: Was du schreibst, bleibt nur, solange diese Seite offen ist.",
  },
};
export default words;
