/** What an answer is made of: its tokens, its parts, and what can be done with them. */

import { plural } from "../../plural";
import type en from "../en/answers";

const words: typeof en = {
  tokens: {
    label: "Tokens der Antwort",
    loading: "Die Antwort wird noch einmal gelesen",
    failed: "Die Tokens konnten nicht bewertet werden.",
    retry: "Noch einmal versuchen",
    intro: "Die Farbe jedes Tokens zeigt, für wie wahrscheinlich das Modell es hielt, noch ohne Temperatur und andere Einstellungen.",
    keys: "Mit den Pfeiltasten geht es von Token zu Token, mit der Eingabetaste zu den Alternativen.",
    legend: "Wahrscheinlichkeit",
    numbers: "Zahlen anzeigen",
    atLeast: (percent: string) => `≥ ${percent}`,
    below: (percent: string) => `< ${percent}`,
    perplexity: "Perplexität",
    perplexityHint: "So schwer zu erraten wie so viele gleich wahrscheinliche Tokens",
    mean: "Mittlere Wahrscheinlichkeit",
    count: "Tokenzahl",
    surprises: "Am unwahrscheinlichsten",
    soFar: (count: string, total: string) => `Die ersten ${count} von ${total} Tokens`,
    more: "Mehr Tokens zeigen",
    tokenised: "Diesen Text hat so kein Modell hier geschrieben; er wurde für diese Ansicht in Tokens zerlegt.",
    changed: "Die Anweisungen oder die Nachrichten darüber haben sich seitdem geändert, die Zahlen können deshalb von den damaligen abweichen.",
    first: "Das erste Token hat keine Wahrscheinlichkeit.",
    told: (token: string, probability: string, rank: string) => `${token}, ${probability}, ${rank}`,
    rank: (rank: number) => `Rang ${rank}`,
    rankBeyond: (count: number) => `nicht unter den ${count} wahrscheinlichsten`,
    piece: (index: number, count: number) => `Teil ${index} von ${count} eines Zeichens`,
    alternatives: "Wahrscheinlichste Tokens an dieser Stelle",
    chosen: "gewählt",
    continueWith: (token: string) => `Mit ${token} weiterschreiben`,
    continueHint: "Eine neue Fassung der Antwort behält, was davor steht, und geht mit dem gewählten Token weiter.",
    ends: "beendet die Antwort",
    space: "Leerzeichen",
    spaces: (count: number) => plural(count, { one: "# Leerzeichen", other: "# Leerzeichen" }),
    newLine: "Zeilenumbruch",
    newLines: (count: number) => plural(count, { one: "# Zeilenumbruch", other: "# Zeilenumbrüche" }),
    tab: "Tabulator",
    bytes: (hex: string) => `die Bytes ${hex}`,
  },
};
export default words;
