/** What an answer is made of: its tokens, its parts, and what can be done with them. */

import { plural } from "../../plural";
import type en from "../en/answers";

const words: typeof en = {
  tokens: {
    label: "Tokens de la respuesta",
    loading: "Leyendo la respuesta otra vez",
    failed: "No se pudieron evaluar los tokens.",
    retry: "Intentar de nuevo",
    intro: "El color de cada token indica lo probable que lo creía el modelo, antes de la temperatura y los demás ajustes.",
    keys: "Las flechas llevan de un token a otro; Intro lleva a las alternativas.",
    legend: "Probabilidad",
    numbers: "Mostrar números",
    atLeast: (percent: string) => `≥ ${percent}`,
    below: (percent: string) => `< ${percent}`,
    perplexity: "Perplejidad",
    perplexityHint: "Tan difícil de adivinar como este número de tokens igual de probables",
    mean: "Probabilidad media",
    count: "Número de tokens",
    surprises: "Los menos probables",
    soFar: (count: string, total: string) => `Los primeros ${count} de ${total} tokens`,
    more: "Mostrar más tokens",
    tokenised: "Ningún modelo de aquí escribió este texto tal cual; se dividió en tokens para esta vista.",
    changed: "Las instrucciones o los mensajes anteriores han cambiado desde entonces, así que las cifras pueden diferir de las de aquel momento.",
    first: "El primer token no tiene probabilidad.",
    told: (token: string, probability: string, rank: string) => `${token}, ${probability}, ${rank}`,
    rank: (rank: number) => `puesto ${rank}`,
    rankBeyond: (count: number) => `fuera de los ${count} más probables`,
    piece: (index: number, count: number) => `parte ${index} de ${count} de un carácter`,
    alternatives: "Tokens más probables aquí",
    chosen: "elegido",
    continueWith: (token: string) => `Continuar con ${token}`,
    continueHint: "Una nueva versión de la respuesta conserva lo anterior y sigue a partir del token que elijas.",
    ends: "termina la respuesta",
    space: "espacio",
    spaces: (count: number) => plural(count, { one: "# espacio", other: "# espacios" }),
    newLine: "salto de línea",
    newLines: (count: number) => plural(count, { one: "# salto de línea", other: "# saltos de línea" }),
    tab: "tabulador",
    bytes: (hex: string) => `los bytes ${hex}`,
  },
};
export default words;
