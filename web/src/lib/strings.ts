/** Every word that the application shows, in one place, so that a translation is one file. */

import { formatBytes } from "./format";

const isApple = /Mac|iPhone|iPad/.test(navigator.platform);
const command = isApple ? "⌘" : "Ctrl";

export const strings = {
  app: "Myna",
  skip: "Skip to the conversation",
  title: (chat: string | null) => (chat ? `${chat} · Myna` : "Myna"),

  sidebar: {
    label: "Chats",
    newChat: "New chat",
    open: "Open sidebar",
    close: "Close sidebar",
    empty: "Your chats will be listed here.",
    more: "Loading more chats",
    loading: "Loading chats",
    failed: "Your chats could not be loaded.",
    running: "Answering",
    find: "Find a chat",
    actions: (title: string) => `Actions for ${title}`,
    rename: "Rename",
    renameLabel: "Chat title",
    remove: "Delete",
    untitled: "New chat",
  },

  groups: { today: "Today", yesterday: "Yesterday", week: "Previous 7 days", month: "Previous 30 days" },

  find: {
    placeholder: "Search chat titles",
    none: "No chat has this in its title.",
    label: "Matching chats",
  },

  theme: { label: "Appearance", light: "Light", dark: "Dark", system: "System" },

  welcome: {
    greeting: (hour: number) =>
      hour < 5 || hour >= 18 ? "Good evening" : hour < 12 ? "Good morning" : "Good afternoon",
    lead: "What would you like to talk about?",
    examplesLabel: "Examples",
    examples: [
      { title: "Explain something", prompt: "Explain how vaccines work, for a curious twelve-year-old." },
      { title: "Write a message", prompt: "Write a short, friendly email that moves our meeting to Thursday morning." },
      { title: "Help with code", prompt: "Write a Python function that finds the most common word in a text file." },
      { title: "Think of ideas", prompt: "Suggest five simple dinners with rice and vegetables." },
    ],
    privacy: "Everything runs and stays on this computer.",
  },

  composer: {
    label: "Message",
    placeholder: "Message Myna",
    send: "Send",
    stop: "Stop answering",
    note: "Small models make mistakes. Check what matters.",
    restored: (reason: string) => `Not sent: ${reason} Your text is still here.`,
    dismiss: "Dismiss",
  },

  transcript: {
    label: "Conversation",
    you: "You",
    answer: "Myna",
    jump: "Jump to the latest",
    earlier: "Show earlier messages",
    generating: "Generating",
    complete: "Answer complete",
    loading: "Loading the conversation",
    failed: "This conversation could not be loaded.",
    missing: "This chat does not exist",
    missingHint: "It may have been deleted.",
  },

  message: {
    copy: "Copy",
    copied: "Copied",
    copyCode: "Copy code",
    done: "Done",
    toDo: "To do",
    copyFailed: "The browser did not allow copying.",
    edit: "Edit",
    regenerate: "Answer again",
    remove: "Delete",
    details: "Details",
    more: "Show all",
    less: "Show less",
    editLabel: "Edit message",
    cancel: "Cancel",
    resend: "Send",
    waiting: "Waiting to be sent. It will go out when the connection is back.",
    thinking: "Thinking",
    queued: "Waiting for its turn",
    loadingModel: (title: string) => `Loading ${title}`,
    downloading: (title: string, percent: number) => `Downloading ${title}, ${percent} %`,
    stopped: "You stopped this answer.",
    interrupted: "This answer was interrupted. What had been written is kept.",
    failed: "The answer failed.",
    empty: "The model answered with nothing.",
    length: "The answer reached its length limit.",
    resume: "Continue",
    retry: "Try again",
    branch: (index: number, count: number) => `Version ${index} of ${count}`,
    previous: "Previous version",
    next: "Next version",
  },

  details: {
    label: "Answer details",
    model: "Model",
    speed: "Speed",
    perSecond: (tokens: string) => `${tokens} tokens/s`,
    first: "First token",
    seconds: (value: string) => `${value} s`,
    answer: "Answer",
    tokens: (count: string) => `${count} tokens`,
    prompt: "Prompt",
    promptCached: (count: string, cached: string) => `${count} tokens, ${cached} from cache`,
    seed: "Seed",
    time: "Written",
  },

  models: {
    label: "Choose a model",
    none: "Choose a model",
    onDisk: "On this computer",
    available: "Available to download",
    parameters: (count: string) => `${count} parameters`,
    context: (tokens: string) => `${tokens} context`,
    loaded: "Loaded",
    download: "Download",
    downloadLabel: (title: string, size: string | null) => (size === null ? `Download ${title}` : `Download ${title}, ${size}`),
    retry: "Try again",
    cancel: "Cancel download",
    progress: (done: number, total: number) => `${formatBytes(done)} of ${formatBytes(total)}`,
    rate: (bytes: number) => `${formatBytes(bytes)}/s`,
    ready: (title: string) => `${title} is ready.`,
    failed: "The models could not be loaded.",
    missing: (title: string) => `${title} is not on this computer yet.`,
  },

  remove: {
    chat: "Delete this chat?",
    chatText: (title: string) => `“${title}” and all its messages will be deleted for good.`,
    message: "Delete this message?",
    messageText: "It will be deleted for good. What follows it stays.",
    confirm: "Delete",
    cancel: "Cancel",
  },

  connection: {
    lost: "Connection lost. Reconnecting…",
    offline: "You are offline. Reconnecting when the network is back…",
    retry: "Try now",
  },

  errors: {
    offline: "Myna is not answering. Is it still running?",
    unexpected: (status: number) => `Myna answered with an unexpected error (${status}).`,
    start: "Myna is not answering",
    startHint: "Start it again with the command “myna”, then try again.",
    retry: "Try again",
    rename: "The chat could not be renamed.",
    remove: "It could not be deleted.",
    dismiss: "Dismiss",
  },

  shortcuts: {
    title: "Keyboard shortcuts",
    close: "Close",
    keys: [
      { keys: ["Enter"], does: "Send" },
      { keys: ["Shift", "Enter"], does: "New line" },
      { keys: ["Esc"], does: "Stop answering" },
      { keys: [command, "Shift", "O"], does: "New chat" },
      { keys: [command, "K"], does: "Find a chat" },
      { keys: ["/"], does: "Write a message" },
      { keys: [command, "Shift", "S"], does: "Show or hide the sidebar" },
      { keys: [command, "Shift", "M"], does: "Choose a model" },
      { keys: [command, "Shift", ";"], does: "Copy the last answer" },
      { keys: [command, "/"], does: "This list" },
    ],
  },
} as const;
