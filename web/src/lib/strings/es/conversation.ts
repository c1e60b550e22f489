/** Lo que se hace con los mensajes: cambiar, copiar, bifurcar, comparar y dejar en espera. */

import { plural } from "../../plural";
import type en from "../en/conversation";

const words: typeof en = {
  editing: {
    actions: "Más acciones para este mensaje",
    answerLabel: "Editar la respuesta",
    save: "Guardar",
    saveCopy: "Guardar como copia",
    overwrite: "Guardar de todos modos",
    edited: "Editado",
    editedAt: (time) => `Editado ${time}`,
    elsewhere: "Este mensaje se cambió mientras tanto en otra pestaña. Tu texto sigue aquí: guárdalo de todos modos o como copia.",
    dropped: "Se descartaron tus cambios.",
    fork: "Bifurcar en un chat nuevo",
    forked: "Esta es la bifurcación, un chat propio.",
    branchOf: (title: string) => `Bifurcación · ${title}`,
    compare: "Comparar versiones",
  },

  compare: {
    title: "Comparar versiones",
    left: "Primera versión",
    right: "Segunda versión",
    version: (index, count) => `Versión ${index} de ${count}`,
    same: "Ambas versiones dicen lo mismo.",
    differ: (count) => plural(count, { one: "# diferencia", other: "# diferencias" }),
    unlike: "Estas versiones tienen poco en común: todo está marcado.",
    removed: "solo en la primera:",
    added: "solo en la segunda:",
    close: "Cerrar",
  },

  queue: {
    send: "Enviar después de esta respuesta",
    waits: "Se enviará cuando termine la respuesta de arriba",
    held: "No enviado: la respuesta de arriba terminó antes de tiempo",
    now: "Enviar ahora",
    withdraw: "Retirar",
    late: "Ya se envió y su respuesta se está escribiendo.",
    answer: "La respuesta llega después de la de arriba.",
  },

  temporary: {
    title: "Chat temporal",
    start: "Chat temporal",
    end: "Terminar este chat temporal",
    note: "No se guarda en ningún sitio ni aparece en ninguna lista. Desaparece cuando sales de él, o diez minutos después de cerrar esta pestaña.",
    hint: "No se guarda en ningún sitio: desaparece cuando sales de él.",
    over: "El chat temporal ha terminado; no se ha conservado nada de él.",
  },

  drafts: {
    notKept: "El almacenamiento de este navegador está lleno o bloqueado: lo que escribes solo se conserva mientras esta página esté abierta.",
  },
};
export default words;
