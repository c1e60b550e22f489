/** The list of chats: what can be done with one or many, projects, the archive, and finding things. */

import { plural } from "../../plural";

export default {
  chats: {
    more: "More for the list of chats",
    pinned: "Pinned",
    pin: "Pin",
    unpin: "Unpin",
    archive: "Archive",
    restore: "Restore",
    move: "Move to project",
    save: { markdown: "Save as Markdown", json: "Save as JSON" },
    select: "Select",
    selectMany: "Select chats",
    archived: (count: number) => plural(count, { one: "# chat is in the archive.", other: "# chats are in the archive." }),
    moved: (count: number, project: string) =>
      plural(count, { one: `# chat is in “${project}” now.`, other: `# chats are in “${project}” now.` }),
    movedOut: (count: number) =>
      plural(count, { one: "# chat is in no project now.", other: "# chats are in no project now." }),
    deleted: (count: number) => plural(count, { one: "# chat is deleted.", other: "# chats are deleted." }),
    undo: "Undo",
  },

  selection: {
    label: "Selected chats",
    count: (count: number) => plural(count, { one: "# selected", other: "# selected" }),
    all: "Select all",
    end: "Done",
    row: (title: string) => `Select ${title}`,
    remove: (count: number) => plural(count, { one: "Delete # chat?", other: "Delete # chats?" }),
    removeText: "They and all their messages will be deleted for good. Answers that are being written end.",
  },

  archive: {
    title: "Archive",
    text: "Archived chats leave the list. They are still found by searching.",
    none: "Nothing is archived.",
    removeAll: "Delete all",
    removeAllTitle: "Delete everything in the archive?",
  },

  projects: {
    title: "Projects",
    make: "New project",
    none: "No project",
    edit: "Edit project",
    actions: (name: string) => `Actions for the project ${name}`,
    name: "Name",
    instructions: "Instructions",
    instructionsHint: "Every model is told this before each chat of the project, after your own instructions.",
    noInstructions: "No instructions yet.",
    submit: "Save",
    create: "Create project",
    newChat: "New chat in this project",
    chats: "Chats of the project",
    empty: "No chats yet. Start one here, or move one here from its menu.",
    missing: "This project does not exist",
    newChatIn: (name: string) => `In the project ${name}`,
    leave: "Write outside of the project",
    remove: "Delete project",
    removeTitle: (name: string) => `Delete the project “${name}”?`,
    removeText: "Its chats stay, outside of any project.",
    removeChats: "Delete its chats too",
    moveTitle: (count: number) => plural(count, { one: "Move the chat to", other: "Move # chats to" }),
  },

  find: {
    title: "Search chats",
    placeholder: "Search titles and messages",
    none: "Nothing has all of these words.",
    titles: "Chats",
    messages: "Messages",
    recent: "Recent chats",
    more: "Show more",
    failed: "The search failed.",
    archived: "archived",
    count: (count: number) => plural(count, { one: "# result", other: "# results" }),
    hint: "Quotes find a phrase: \"like this\".",
  },
};
