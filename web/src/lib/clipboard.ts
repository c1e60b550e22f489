/** Copies text; false when the browser does not allow it. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Without a secure context there is no clipboard API; the old command still works after a click.
    return copyThroughSelection(text);
  }
}

/** Copies Markdown, and with it what it looks like: programs take which of the two they can. */
export async function copyMarkdown(source: string): Promise<boolean> {
  const rich = import("./markdown/copy").then(({ toRich }) => new Blob([toRich(source)], { type: "text/html" }));
  try {
    await navigator.clipboard.write([
      new ClipboardItem({ "text/plain": new Blob([source], { type: "text/plain" }), "text/html": rich }),
    ]);
    return true;
  } catch {
    // A browser that takes text alone, or what draws Markdown could not be fetched.
    rich.catch(() => undefined);
    return copyText(source);
  }
}

function copyThroughSelection(text: string): boolean {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "offscreen";
  document.body.append(area);
  area.select();
  try {
    return document.execCommand("copy");
  } finally {
    area.remove();
  }
}
