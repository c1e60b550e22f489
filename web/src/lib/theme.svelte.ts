/**
 * Light, dark, high contrast, or what the system prefers. public/theme.js applies the stored choice before the first
 * paint. High contrast is also what a system asks for that wants more, whatever the choice: then in its light or dark.
 */

import { read, write } from "./storage";

const THEMES = ["light", "dark", "contrast"] as const;
export type Theme = (typeof THEMES)[number] | "system";

function stored(): Theme {
  const value = read("theme");
  return THEMES.find((known) => known === value) ?? "system";
}

let chosen = $state<Theme>(stored());
const wantsMore = window.matchMedia("(prefers-contrast: more)");

export const theme = {
  get value(): Theme {
    return chosen;
  },
  set value(next: Theme) {
    chosen = next;
    write("theme", next === "system" ? null : next);
    apply(next);
  },
};

function apply(next: Theme): void {
  const root = document.documentElement;
  if (next === "system") delete root.dataset["theme"];
  else root.dataset["theme"] = next;
  root.toggleAttribute("data-contrast", next === "contrast" || wantsMore.matches);
}

wantsMore.addEventListener("change", () => apply(chosen));

// Another tab may have changed it.
window.addEventListener("storage", (event) => {
  if (event.key === "myna.theme") apply((chosen = stored()));
});
