/** La lista de chats, los proyectos, el archivo y la búsqueda. */

import { plural } from "../../plural";
import type en from "../en/chats";

const words: typeof en = {
  chats: {
    more: "Más acciones para la lista de chats",
    pinned: "Fijados",
    pin: "Fijar",
    unpin: "Dejar de fijar",
    archive: "Archivar",
    restore: "Restaurar",
    move: "Mover a un proyecto",
    save: { markdown: "Guardar como Markdown", json: "Guardar como JSON" },
    select: "Seleccionar",
    selectMany: "Seleccionar chats",
    archived: (count) => plural(count, { one: "# chat está en el archivo.", other: "# chats están en el archivo." }),
    moved: (count, project) =>
      plural(count, { one: `# chat está ahora en «${project}».`, other: `# chats están ahora en «${project}».` }),
    movedOut: (count) =>
      plural(count, { one: "# chat ya no está en ningún proyecto.", other: "# chats ya no están en ningún proyecto." }),
    deleted: (count) => plural(count, { one: "# chat eliminado.", other: "# chats eliminados." }),
    undo: "Deshacer",
  },

  selection: {
    label: "Chats seleccionados",
    count: (count) => plural(count, { one: "# seleccionado", other: "# seleccionados" }),
    all: "Seleccionar todo",
    end: "Listo",
    row: (title) => `Seleccionar ${title}`,
    remove: (count) => plural(count, { one: "¿Eliminar # chat?", other: "¿Eliminar # chats?" }),
    removeText: "Se eliminarán para siempre con todos sus mensajes. Las respuestas que se están escribiendo terminan.",
  },

  archive: {
    title: "Archivo",
    text: "Los chats archivados salen de la lista. La búsqueda los sigue encontrando.",
    none: "No hay nada archivado.",
    removeAll: "Eliminar todo",
    removeAllTitle: "¿Eliminar todo lo archivado?",
  },

  projects: {
    title: "Proyectos",
    make: "Nuevo proyecto",
    none: "Ningún proyecto",
    edit: "Editar el proyecto",
    actions: (name) => `Acciones del proyecto ${name}`,
    name: "Nombre",
    instructions: "Instrucciones",
    instructionsHint: "Cada modelo las recibe antes de cada chat del proyecto, después de tus propias instrucciones.",
    noInstructions: "Todavía no hay instrucciones.",
    submit: "Guardar",
    create: "Crear proyecto",
    newChat: "Nuevo chat en este proyecto",
    chats: "Chats del proyecto",
    empty: "Todavía no hay chats. Empieza uno aquí o mueve uno desde su menú.",
    missing: "Este proyecto no existe",
    newChatIn: (name) => `En el proyecto ${name}`,
    leave: "Escribir fuera del proyecto",
    remove: "Eliminar el proyecto",
    removeTitle: (name) => `¿Eliminar el proyecto «${name}»?`,
    removeText: "Sus chats se quedan, fuera de cualquier proyecto.",
    removeChats: "Eliminar también sus chats",
    moveTitle: (count) => plural(count, { one: "Mover el chat a", other: "Mover # chats a" }),
  },

  find: {
    title: "Buscar en los chats",
    placeholder: "Buscar en títulos y mensajes",
    none: "Nada contiene todas estas palabras.",
    titles: "Chats",
    messages: "Mensajes",
    recent: "Chats recientes",
    more: "Mostrar más",
    failed: "La búsqueda ha fallado.",
    archived: "archivado",
    count: (count) => plural(count, { one: "# resultado", other: "# resultados" }),
    hint: "Las comillas buscan una frase: \"como esta\".",
  },
};
export default words;
