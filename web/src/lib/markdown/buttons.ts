/** What the buttons in rendered Markdown do; they are found by their classes. */

import { copyText } from "../clipboard";
import { toasts } from "../state/toasts.svelte";
import { strings } from "../strings";
import { saveText, tableText } from "./files";

const COPIED_MS = 1500;

/** Does what a click asks for; nothing if it was not on one of our buttons. */
export async function press(event: MouseEvent & { currentTarget: HTMLElement }): Promise<void> {
  const button = event.target instanceof Element ? event.target.closest("button") : null;
  if (!button) return;
  const figure = button.closest("figure");
  const code = figure?.querySelector("code")?.textContent ?? "";
  if (button.matches(".copy-code")) await copy(button, code, strings.message.copy);
  else if (button.matches(".copy-table")) {
    const table = button.closest(".table-box")?.querySelector("table");
    if (table) await copy(button, tableText(table), strings.answer.copyTable);
  } else if (button.matches(".save-code")) saveText(code, button.title);
  else if (button.matches(".wrap-code")) {
    const wraps = figure?.classList.toggle("wrap") ?? false;
    button.setAttribute("aria-pressed", String(wraps));
  } else if (button.matches(".note")) turnTo(event.currentTarget, button);
}

async function copy(button: HTMLButtonElement, text: string, label: string): Promise<void> {
  if (!(await copyText(text))) return void toasts.show(strings.message.copyFailed, "error");
  const isNamed = button.ariaLabel !== null;
  button.textContent = strings.message.copied;
  // Said too: where there is a name of its own, that alone is heard.
  if (isNamed) button.ariaLabel = strings.message.copied;
  setTimeout(() => {
    button.textContent = label;
    if (isNamed) button.ariaLabel = strings.message.copyCode;
  }, COPIED_MS);
}

/** From a footnote's mark to the footnote, and back to the first that refers to it. */
function turnTo(prose: HTMLElement, from: HTMLButtonElement): void {
  const isNote = from.closest(".footnote") !== null;
  const others = Array.from(prose.querySelectorAll<HTMLButtonElement>(".note"));
  const to = others.find((other) => other.textContent === from.textContent && (other.closest(".footnote") !== null) !== isNote);
  to?.scrollIntoView({ block: "nearest" });
  to?.focus();
}
