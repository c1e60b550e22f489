/**
 * What can be done from anywhere: one row each. The keyboard, the command palette and the sheet of shortcuts all read
 * this table. A row's words are `strings.commands[id]`, in the part "commands".
 */

import type { IconName } from "../components/Icon.svelte";
import { copyMarkdown } from "./clipboard";
import { currentPage } from "./pages";
import { router } from "./router.svelte";
import { app } from "./state/app.svelte";
import { layout } from "./state/layout.svelte";
import { toasts } from "./state/toasts.svelte";
import { strings } from "./strings";
import type commands from "./strings/en/commands";
import { manages } from "./types";

/**
 * A key as `KeyboardEvent.key` names it, in lower case, with the keys held beside it. `mod` is Ctrl, on Apple's computers
 * Cmd. `also` is another name for it: what the key gives while Shift is held, on some layouts.
 */
export interface Shortcut {
  key: string;
  also?: string;
  mod?: boolean;
  shift?: boolean;
  alt?: boolean;
}

export interface Command {
  id: keyof typeof commands.commands;
  icon: IconName;
  shortcut?: Shortcut;
  /** Whether it means anything now; always, where it is not said. */
  available?: () => boolean;
  run: () => void;
  /** Worth a key, and pointless in a list that is closed before it runs. */
  keyOnly?: true;
}

const signedIn = () => app.session.current?.can_sign_out === true;
const inChats = () => currentPage() === null;

export const COMMANDS: readonly Command[] = [
  { id: "palette", icon: "search", shortcut: { key: "k", mod: true }, run: () => (layout.sheet = "palette"), keyOnly: true },
  { id: "newChat", icon: "plus", shortcut: { key: "o", mod: true, shift: true }, run: newChat },
  { id: "temporary", icon: "passing", available: inChats, run: toggleTemporary },
  { id: "find", icon: "search", run: () => (layout.sheet = "find") },
  { id: "write", icon: "edit", shortcut: { key: "/" }, available: inChats, run: () => layout.focusComposer(), keyOnly: true },
  { id: "stop", icon: "stop", shortcut: { key: "escape" }, available: answering, run: () => void app.chat.conversation?.stop() },
  {
    id: "copyAnswer",
    icon: "copy",
    shortcut: { key: ";", also: ":", mod: true, shift: true },
    available: () => inChats() && lastAnswer() !== undefined,
    run: copyLastAnswer,
  },
  {
    id: "chooseModel",
    icon: "chevron-down",
    shortcut: { key: "m", mod: true, shift: true },
    available: inChats,
    run: () => (layout.modelMenu = !layout.modelMenu),
  },
  { id: "sidebar", icon: "sidebar", shortcut: { key: "s", mod: true, shift: true }, run: () => layout.toggleSidebar() },
  { id: "shortcuts", icon: "keyboard", shortcut: { key: "/", mod: true }, run: () => (layout.sheet = "shortcuts") },
  { id: "account", icon: "user", available: signedIn, run: () => visit("/account") },
  { id: "keys", icon: "key", available: signedIn, run: () => visit("/account/keys") },
  { id: "models", icon: "download", run: () => visit("/models") },
  { id: "playground", icon: "edit", run: () => visit("/playground") },
  { id: "compare", icon: "compare", run: () => visit("/compare") },
  { id: "archive", icon: "archive", run: () => visit("/archive") },
  { id: "admin", icon: "sliders", available: () => manages(app.session.user), run: () => visit("/admin") },
  { id: "users", icon: "users", available: () => signedIn() && manages(app.session.user), run: () => visit("/admin/users") },
  { id: "reference", icon: "book", run: () => location.assign("/docs") },
];

export function isAvailable(command: Command): boolean {
  return command.available?.() ?? true;
}

function visit(path: string): void {
  layout.closeDrawer();
  router.open(path);
}

function newChat(): void {
  layout.closeDrawer();
  app.chat.newChat();
  layout.focusComposer();
}

function toggleTemporary(): void {
  layout.closeDrawer();
  app.chat.toggleTemporary();
  layout.focusComposer();
}

function answering(): boolean {
  return app.chat.conversation?.writing?.delayed === false;
}

function lastAnswer() {
  return app.chat.conversation?.path.findLast((message) => message.role === "assistant");
}

function copyLastAnswer(): void {
  const answer = lastAnswer();
  if (!answer) return;
  void copyMarkdown(answer.text).then((copied) => {
    toasts.show(copied ? strings.message.copied : strings.message.copyFailed, copied ? "info" : "error");
  });
}
