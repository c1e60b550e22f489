/** Markdown's parser and sanitiser are a chunk of their own: the first screen comes up without them. */

import type { Component } from "svelte";

export type MarkdownComponent = Component<{ source: string; complete: boolean }>;

let loading: Promise<MarkdownComponent> | null = null;

/** The Markdown component; after a failure the next call tries again. */
export function loadMarkdown(): Promise<MarkdownComponent> {
  loading ??= import("../../components/Markdown.svelte").then(
    (module) => module.default,
    (error: unknown) => {
      loading = null;
      throw error;
    },
  );
  return loading;
}
