// Applies the stored theme before the first paint; src/lib/theme.svelte.ts owns the value.
{
  const root = document.documentElement;
  let theme = null;
  try {
    theme = localStorage.getItem("myna.theme");
  } catch {
    // Storage is blocked: the system's theme is used.
  }
  if (["light", "dark", "contrast"].includes(theme)) root.dataset.theme = theme;
  root.toggleAttribute("data-contrast", theme === "contrast" || matchMedia("(prefers-contrast: more)").matches);
}
