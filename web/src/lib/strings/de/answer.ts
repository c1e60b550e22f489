/** What can be done with an answer, beside it, and what is shown in it. */

import { plural } from "../../plural";
import type en from "../en/answer";

const words: typeof en = {
  answer: {
    tokens: "Zeigen, wie wahrscheinlich jedes Token war",
    text: "Die Antwort selbst zeigen",
    thinking: "Denkt nach",
    thought: "Nachgedacht",
    thoughtFor: (time: string) => `${time} s nachgedacht`,
    copyText: "Als reinen Text kopieren",
    wrap: "Zeilen umbrechen",
    download: "Herunterladen",
    lines: (count: number) => plural(count, { one: "# Zeile", other: "# Zeilen" }),
    copyTable: "Tabelle kopieren",
    footnotes: "Fußnoten",
    formulaFailed: "Diese Formel konnte nicht gezeichnet werden:",
    diagram: "Diagramm",
    diagramFailed: "Dieses Diagramm konnte nicht gezeichnet werden:",
    tooLong: "es ist zu lang",
    ended: "Ende",
    stop: "von selbst",
    length: "an der Längengrenze",
    cancelled: "durch Anhalten",
    context: "Genutzter Kontext",
    used: (tokens: string, of: string, percent: string) => `${tokens} von ${of} Tokens, ${percent} %`,
    temperature: "Temperatur",
    maxTokens: "Längengrenze",
    penalty: "Abzug für Wiederholung",
  },
};
export default words;
