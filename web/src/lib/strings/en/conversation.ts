/** What one does with messages: change, copy, fork, compare, and let them wait. */

import { plural } from "../../plural";

export default {
  editing: {
    actions: "More for this message",
    answerLabel: "Edit answer",
    save: "Save",
    saveCopy: "Save as a copy",
    overwrite: "Save anyway",
    edited: "Edited",
    editedAt: (time: string) => `Edited ${time}`,
    elsewhere: "This message was changed in another tab meanwhile. Your text is kept here: save it anyway, or as a copy.",
    dropped: "Your changes were dropped.",
    fork: "Fork into a new chat",
    forked: "This is the fork, a chat of its own.",
    branchOf: (title: string) => `Branch · ${title}`,
    compare: "Compare versions",
  },

  compare: {
    title: "Compare versions",
    left: "First version",
    right: "Second version",
    version: (index: number, count: number) => `Version ${index} of ${count}`,
    same: "Both versions say the same.",
    differ: (count: number) => plural(count, { one: "# place differs", other: "# places differ" }),
    unlike: "These versions have little in common: all of it is marked.",
    removed: "only in the first:",
    added: "only in the second:",
    close: "Close",
  },

  queue: {
    send: "Send after this answer",
    waits: "Will be sent when the answer above is complete",
    held: "Not sent: the answer above ended early",
    now: "Send now",
    withdraw: "Take back",
    late: "It is already sent, and its answer is being written.",
    answer: "The answer comes after the one above.",
  },

  temporary: {
    title: "Temporary chat",
    start: "Temporary chat",
    end: "End this temporary chat",
    note: "It is stored nowhere and in no list. It is gone when you leave it, or ten minutes after you close this tab.",
    hint: "Stored nowhere: gone when you leave it.",
    over: "The temporary chat is over; nothing of it was kept.",
  },

  drafts: {
    notKept: "This browser’s storage is full or blocked: what you type is kept only as long as this page is open.",
  },
};
