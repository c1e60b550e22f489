/** Spanish: the words of what can be done from anywhere, of its palette and of the sheet of shortcuts. */

import { plural } from "../../plural";
import type en from "../en/commands";

const words: typeof en = {
  commands: {
    palette: "Órdenes, chats y modelos",
    newChat: "Nuevo chat",
    temporary: "Empezar o terminar un chat temporal",
    find: "Buscar en los chats",
    write: "Escribir un mensaje",
    stop: "Detener la respuesta",
    copyAnswer: "Copiar la última respuesta",
    chooseModel: "Elegir un modelo",
    sidebar: "Mostrar u ocultar la barra lateral",
    shortcuts: "Atajos de teclado",
    account: "Cuenta",
    keys: "Claves de API",
    models: "Modelos",
    playground: "Zona de pruebas",
    compare: "Comparar modelos",
    archive: "Archivo",
    admin: "Administración",
    users: "Usuarios",
    reference: "Referencia de la API",
  },

  palette: {
    label: "Orden o chat",
    placeholder: "¿Qué te gustaría hacer?",
    none: "Nada coincide.",
    found: (count) => plural(count, { one: "# resultado", other: "# resultados" }),
    commands: "Órdenes",
    chats: "Chats",
    projects: "Proyectos",
    models: "Modelos",
    looks: "Apariencia",
    languages: "Idioma",
    findText: (query) => `Buscar «${query}» en todos los chats`,
  },

  sheet: {
    send: "Enviar",
    newLine: "Nueva línea",
    messages: "Ir de un mensaje a otro",
    enter: "Intro",
    shift: "Mayús",
    escape: "Esc",
    single: "Usar «/» sola para escribir un mensaje",
    singleHint: "Desactívalo si tu voz o un descuido pulsan teclas.",
  },
};
export default words;
