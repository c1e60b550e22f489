/** The words of a long transcript. */

import type en from "../en/transcript";

const words: typeof en = {
  longChat: {
    messages: "Mensajes",
    notLoaded: "No se pudo cargar este mensaje.",
    retry: "Reintentar",
    contextFrom: (tokens: string) => `El modelo ya no ve lo que hay encima: en su contexto caben ${tokens} tokens.`,
    contextCut: (tokens: string) => `Los mensajes más antiguos ya no caben en el contexto del modelo (${tokens} tokens) y no se tuvieron en cuenta en esta respuesta.`,
    contextHint: "Para que lo vea todo de nuevo, elige un modelo con un contexto mayor o continúa en un chat nuevo con un resumen.",
  },
};
export default words;
