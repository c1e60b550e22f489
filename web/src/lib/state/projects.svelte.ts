/** The projects, kept current by changes from the server. */

import { api, explain } from "../api";
import { newId } from "../ids";
import type { Project } from "../types";

class Projects {
  #known = $state.raw(new Map<string, Project>());
  #deleted = new Set<string>();

  loaded = $state(false);
  error = $state<string | null>(null);
  /** The one in which the next new chat is made. */
  next = $state<string | null>(null);

  readonly all = $derived([...this.#known.values()].sort((a, b) => a.name.localeCompare(b.name)));

  async load(): Promise<void> {
    try {
      const before = this.#known;
      const { projects } = await api.projects();
      const listed = projects.filter(({ id }) => !this.#deleted.has(id));
      const known = new Map(listed.map((project) => [project.id, project]));
      // What was heard of since the list was asked for may be newer than it.
      for (const [id, project] of this.#known) {
        const other = known.get(id);
        if (before.get(id) !== project && (!other || other.version < project.version)) known.set(id, project);
      }
      this.#known = known;
      this.loaded = true;
      this.error = null;
    } catch (error) {
      this.error = explain(error);
    }
  }

  find(id: string | null): Project | null {
    return id === null ? null : (this.#known.get(id) ?? null);
  }

  changed(project: Project): void {
    const known = this.#known.get(project.id);
    if (this.#deleted.has(project.id) || (known && known.version > project.version)) return;
    this.#known = new Map(this.#known).set(project.id, project);
  }

  removed(id: string): void {
    this.#deleted.add(id);
    const known = new Map(this.#known);
    if (known.delete(id)) this.#known = known;
    if (this.next === id) this.next = null;
  }

  /** Throws what the request throws, as do the two below. */
  async make(name: string, instructions: string): Promise<Project> {
    const project = await api.makeProject({ id: newId(), name, instructions });
    this.changed(project);
    return project;
  }

  async change(id: string, name: string, instructions: string): Promise<void> {
    this.changed(await api.changeProject(id, { name, instructions }));
  }

  async remove(id: string, withChats: "keep" | "delete"): Promise<void> {
    await api.deleteProject(id, withChats);
    this.removed(id);
  }
}

export const projects = new Projects();
