/** Keys that work anywhere on the page; strings.shortcuts lists them for people. */

import { copyText } from "./clipboard";
import { currentPage } from "./pages";
import { router } from "./router.svelte";
import { app } from "./state/app.svelte";
import { layout } from "./state/layout.svelte";
import { toasts } from "./state/toasts.svelte";
import { strings } from "./strings";

export function handleShortcut(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.isComposing) return;
  const action = actionOf(event);
  if (!action) return;
  event.preventDefault();
  action();
}

function actionOf(event: KeyboardEvent): (() => void) | null {
  const command = event.metaKey || event.ctrlKey;
  // Before somebody is there, there is nothing to reach; and an open dialog has the keyboard to itself.
  if (app.user === null || document.querySelector("dialog[open]")) return null;
  if (command && event.shiftKey) {
    switch (event.key.toLowerCase()) {
      case "o":
        return newChat;
      case "s":
        return () => layout.toggleSidebar();
      case "m":
        return currentPage() === null ? () => (layout.modelMenu = !layout.modelMenu) : null;
      case ";":
      case ":":
        return copyLastAnswer;
    }
    return null;
  }
  if (command && event.key.toLowerCase() === "k") return () => (layout.sheet = "find");
  if (command && event.key === "/") return () => (layout.sheet = "shortcuts");
  if (event.key === "Escape") {
    if (layout.covered) return () => layout.closeDrawer();
    if (app.conversation?.writing) return () => void app.conversation?.stop();
    return null;
  }
  if (event.key === "/" && !command && !isTyping(event.target)) return () => layout.focusComposer();
  return null;
}

function newChat(): void {
  layout.closeDrawer();
  router.go(null);
  layout.focusComposer();
}

function copyLastAnswer(): void {
  const answer = app.conversation?.path.findLast((message) => message.role === "assistant");
  if (!answer) return;
  void copyText(answer.text).then((copied) => {
    toasts.show(copied ? strings.message.copied : strings.message.copyFailed, copied ? "info" : "error");
  });
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(?:INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}
