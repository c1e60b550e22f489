/**
 * The pages beside the chats: each is fetched, with its words, when it is first opened. An address of several segments
 * belongs to the first page that it begins with, which tells its own parts apart.
 */

import type { Component } from "svelte";
import { router } from "./router.svelte";
import { projects } from "./state/projects.svelte";
import { strings, withStrings } from "./strings";

export interface Page {
  path: string;
  /** For the window's title; the page's words are not there yet when it is asked for, only the shell's. */
  title: () => string;
  load: () => Promise<{ default: Component }>;
}

/** With all words about accounts. */
const loadAll = <T>(load: () => Promise<T>) => withStrings("admin", withStrings("security", withStrings("account", load)));

const PAGES: readonly Page[] = [
  {
    path: "/account",
    title: () => strings.account.account,
    load: loadAll(() => import("../components/account/AccountPage.svelte")),
  },
  {
    path: "/admin",
    title: () => strings.account.administration,
    load: loadAll(() => import("../components/admin/AdminPage.svelte")),
  },
  {
    path: "/sign-in/provider",
    title: () => strings.signIn.title,
    load: withStrings("security", () => import("../components/security/ProviderReturn.svelte")),
  },
  {
    path: "/join",
    title: () => strings.account.account,
    load: withStrings("security", () => import("../components/security/JoinPage.svelte")),
  },
  {
    path: "/models",
    title: () => strings.models.page,
    load: withStrings("models", () => import("../components/models/ModelsPage.svelte")),
  },
  {
    path: "/playground",
    title: () => strings.models.playground,
    load: withStrings("answers", withStrings("models", () => import("../components/models/PlaygroundPage.svelte"))),
  },
  {
    path: "/compare",
    title: () => strings.models.compare,
    load: withStrings("models", () => import("../components/models/ComparePage.svelte")),
  },
  {
    path: "/archive",
    title: () => strings.archive.title,
    load: () => import("../components/chats/ArchivePage.svelte"),
  },
  {
    path: "/projects",
    title: () => projects.find(router.path.split("/")[2] ?? null)?.name ?? strings.projects.title,
    load: () => import("../components/chats/ProjectPage.svelte"),
  },
];

/** The page that the address names; null where that is a chat. */
export function currentPage(): Page | null {
  return PAGES.find(({ path }) => router.path === path || router.path.startsWith(`${path}/`)) ?? null;
}
