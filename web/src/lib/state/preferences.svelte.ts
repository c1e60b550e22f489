/** What the person at this browser has chosen for themselves, wherever they sign in. */

import { api } from "../api";
import type { Preferences, PreferencesChange } from "../types";

class PreferencesState {
  /** Null until they are known. */
  current = $state.raw<Preferences | null>(null);

  async load(): Promise<void> {
    this.changed(await api.preferences());
  }

  /** They are so now; told by an answer or by the server, in any order. */
  changed(next: Preferences): void {
    if (this.current === null || next.version >= this.current.version) this.current = next;
  }

  /** Chooses anew what is given; throws what the server says against it. */
  async choose(change: PreferencesChange): Promise<void> {
    this.changed(await api.changePreferences(change));
  }
}

export const preferences = new PreferencesState();
