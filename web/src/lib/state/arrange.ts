/** What is done with one chat or many: each is one request, shown at once and, where that is cheap, undone from its notice. */

import { api, explain } from "../api";
import { strings } from "../strings";
import type { Chat, ChatAction } from "../types";
import { app } from "./app.svelte";
import { chats } from "./chats.svelte";
import { projects } from "./projects.svelte";
import { toasts } from "./toasts.svelte";

/** Of the server, for one request. */
const MOST = 5000;

async function arrange(action: ChatAction, ids: readonly string[], projectId?: string | null): Promise<string[]> {
  const changed: string[] = [];
  try {
    for (let at = 0; at < ids.length; at += MOST) {
      const more = projectId === undefined ? {} : { project_id: projectId };
      changed.push(...(await api.arrange(action, { ids: ids.slice(at, at + MOST) }, more)).changed);
    }
  } catch (error) {
    toasts.show(explain(error), "error");
  }
  return changed;
}

export async function pin(ids: readonly string[], pinned: boolean): Promise<void> {
  const changed = await arrange(pinned ? "pin" : "unpin", ids);
  chats.amended(changed, { pinned_at: pinned ? Date.now() : null });
}

export async function archive(ids: readonly string[]): Promise<void> {
  const changed = await arrange("archive", ids);
  chats.amended(changed, { archived_at: Date.now() });
  if (changed.length > 0) {
    toasts.show(strings.chats.archived(changed.length), "info", {
      text: strings.chats.undo,
      run: () => void restore(changed),
    });
  }
}

export async function restore(ids: readonly string[]): Promise<void> {
  chats.amended(await arrange("unarchive", ids), { archived_at: null });
}

export async function move(ids: readonly string[], projectId: string | null): Promise<void> {
  const changed = await arrange("move", ids, projectId);
  chats.amended(changed, { project_id: projectId });
  const name = projects.find(projectId)?.name;
  if (changed.length > 0) {
    toasts.show(name === undefined ? strings.chats.movedOut(changed.length) : strings.chats.moved(changed.length, name));
  }
}

export async function rename(chat: Chat, title: string): Promise<void> {
  try {
    app.chat.chatChanged(await api.patchChat(chat.id, { title }));
  } catch (error) {
    toasts.show(`${strings.errors.rename} ${explain(error)}`, "error");
  }
}

/** One that its person was asked about already: it goes from the list without waiting for the server. */
export async function removeOne(chat: Chat): Promise<void> {
  chats.removed(chat.id);
  try {
    await api.deleteChat(chat.id);
    app.chat.gone([chat.id]);
  } catch (error) {
    chats.restored(chat);
    toasts.show(`${strings.errors.remove} ${explain(error)}`, "error");
  }
}

export async function remove(ids: readonly string[]): Promise<void> {
  gone(await arrange("delete", ids));
}

export async function removeArchived(): Promise<void> {
  try {
    gone((await api.arrange("delete", { all: "archived" })).changed);
  } catch (error) {
    toasts.show(explain(error), "error");
  }
}

function gone(ids: readonly string[]): void {
  if (ids.length === 0) return;
  app.chat.gone(ids);
  toasts.show(strings.chats.deleted(ids.length));
}
