/** Keys that work anywhere on the page: those of the table of commands, and Esc for a drawer. */

import { COMMANDS, isAvailable, type Shortcut } from "./commands";
import { app } from "./state/app.svelte";
import { layout } from "./state/layout.svelte";
import { read, write } from "./storage";

/**
 * Keys without Ctrl or Cmd, of which people who speak to their computer would press some by accident (WCAG 2.1.4): they
 * can be switched off on the sheet of shortcuts.
 */
export const singleKeys = {
  get on(): boolean {
    return read("single-keys") !== "off";
  },
  set on(next: boolean) {
    write("single-keys", next ? null : "off");
  },
};

export function isSingle(shortcut: Shortcut): boolean {
  return !shortcut.mod && shortcut.key.length === 1;
}

export function handleShortcut(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.isComposing) return;
  // Before somebody is there, there is nothing to reach; and an open dialog has the keyboard to itself.
  if (app.session.user === null || document.querySelector("dialog[open]")) return;
  const action = actionOf(event);
  if (!action) return;
  event.preventDefault();
  action();
}

function actionOf(event: KeyboardEvent): (() => void) | null {
  if (event.key === "Escape" && layout.covered) return () => layout.closeDrawer();
  const command = COMMANDS.find(({ shortcut }) => shortcut !== undefined && isPressed(shortcut, event));
  if (!command?.shortcut || !isAvailable(command)) return null;
  if (isSingle(command.shortcut) && (isTyping(event.target) || !singleKeys.on)) return null;
  return command.run;
}

function isPressed(shortcut: Shortcut, event: KeyboardEvent): boolean {
  const key = event.key.toLowerCase();
  if (key !== shortcut.key && key !== shortcut.also) return false;
  // Some layouts reach a sign such as "/" with Shift, and all of them a letter without.
  const shift = shortcut.shift ?? (/^[a-z]$/.test(shortcut.key) ? false : event.shiftKey);
  return (event.ctrlKey || event.metaKey) === (shortcut.mod ?? false) && event.shiftKey === shift && !event.altKey;
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(?:INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}
