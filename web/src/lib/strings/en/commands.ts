/** The words of what can be done from anywhere, of its palette and of the sheet of shortcuts. */

import { plural } from "../../plural";

export default {
  commands: {
    palette: "Commands, chats and models",
    newChat: "New chat",
    temporary: "Begin or end a temporary chat",
    find: "Search chats",
    write: "Write a message",
    stop: "Stop answering",
    copyAnswer: "Copy the last answer",
    chooseModel: "Choose a model",
    sidebar: "Show or hide the sidebar",
    shortcuts: "Keyboard shortcuts",
    account: "Account",
    keys: "API keys",
    models: "Models",
    playground: "Playground",
    compare: "Compare models",
    archive: "Archive",
    admin: "Administration",
    users: "Users",
    reference: "API reference",
  },

  palette: {
    label: "Command or chat",
    placeholder: "What would you like to do?",
    none: "Nothing answers to this.",
    found: (count: number) => plural(count, { one: "# result", other: "# results" }),
    commands: "Commands",
    chats: "Chats",
    projects: "Projects",
    models: "Models",
    looks: "Appearance",
    languages: "Language",
    findText: (query: string) => `Search all chats for “${query}”`,
  },

  sheet: {
    send: "Send",
    newLine: "New line",
    messages: "Go from message to message",
    enter: "Enter",
    shift: "Shift",
    escape: "Esc",
    single: "Use “/” alone to write a message",
    singleHint: "Switch it off if keys are pressed by your voice or by accident.",
  },
};
