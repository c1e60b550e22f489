/** The words of a long transcript. */

import type en from "../en/transcript";

const words: typeof en = {
  longChat: {
    messages: "Mensajes",
    notLoaded: "No se pudo cargar este mensaje.",
    retry: "Reintentar",
    contextFrom: (tokens: string) => `El modelo ya no ve lo que hay encima: en su contexto caben ${tokens} tokens.`,
    contextHint: "Para que lo vea todo de nuevo, elige un modelo con un contexto mayor o continúa en un chat nuevo con un resumen.",
  },
};
export default words;
