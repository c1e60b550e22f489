/** What can be done with an answer, beside it, and what is shown in it. */

import { plural } from "../../plural";
import type en from "../en/answer";

const words: typeof en = {
  answer: {
    tokens: "Mostrar la probabilidad de cada token",
    text: "Mostrar la respuesta",
    thinking: "Pensando",
    thought: "Razonamiento",
    thoughtFor: (time: string) => `Pensó durante ${time} s`,
    copyText: "Copiar como texto sin formato",
    wrap: "Ajustar líneas",
    download: "Descargar",
    lines: (count: number) => plural(count, { one: "# línea", other: "# líneas" }),
    copyTable: "Copiar tabla",
    footnotes: "Notas al pie",
    formulaFailed: "No se pudo dibujar esta fórmula:",
    diagram: "Diagrama",
    diagramFailed: "No se pudo dibujar este diagrama:",
    tooLong: "es demasiado largo",
    ended: "Final",
    stop: "por sí sola",
    length: "por el límite de longitud",
    cancelled: "al detenerla",
    context: "Contexto usado",
    used: (tokens: string, of: string, percent: string) => `${tokens} de ${of} tokens, ${percent} %`,
    temperature: "Temperatura",
    maxTokens: "Límite de longitud",
    penalty: "Penalización por repetición",
  },
};
export default words;
