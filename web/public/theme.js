// Applies the stored theme before the first paint; src/lib/theme.svelte.ts owns the value.
try {
  const theme = localStorage.getItem("myna.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage is blocked: the system's theme is used.
}
