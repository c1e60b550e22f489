/** Light, dark, or what the system prefers. public/theme.js applies the stored choice before the first paint. */

import { read, write } from "./storage";

export type Theme = "light" | "dark" | "system";

function stored(): Theme {
  const value = read("theme");
  return value === "light" || value === "dark" ? value : "system";
}

let chosen = $state<Theme>(stored());

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
  if (next === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = next;
}

// Another tab may have changed it.
window.addEventListener("storage", (event) => {
  if (event.key === "myna.theme") apply((chosen = stored()));
});
