/** What the person at this browser has chosen for themselves, wherever they sign in. */

import { api, explain } from "../api";
import { language, languageOf, speak, type Language } from "../language";
import { theme, type Theme } from "../theme.svelte";
import type { Preferences, PreferencesChange } from "../types";
import { toasts } from "./toasts.svelte";

class PreferencesState {
  /** Null until they are known. */
  current = $state.raw<Preferences | null>(null);

  #loading: Promise<void> | null = null;

  /** Whoever wants them while they are on their way waits for the same answer. */
  load(): Promise<void> {
    this.#loading ??= this.#load().finally(() => (this.#loading = null));
    return this.#loading;
  }

  async #load(): Promise<void> {
    this.changed(await api.preferences());
  }

  /** They are so now; told by an answer or by the server, in any order. */
  changed(next: Preferences): void {
    if (this.current === null || next.version >= this.current.version) this.current = next;
    // What is chosen for every browser is applied in this one; what is left to each stays as it is here.
    const { theme: look, language: tongue } = this.current;
    if (look !== null && look !== theme.value) theme.value = look;
    const spoken = languageOf(tongue);
    if (spoken !== null && spoken !== language) speak(spoken);
  }

  /** For this browser, and for the others where the person has said that they shall look alike. */
  readonly chooseTheme = (look: Theme): void => {
    theme.value = look;
    if (this.current !== null && this.current.theme !== null) void this.#tell({ theme: look });
  };

  async chooseLanguage(tongue: Language): Promise<void> {
    if (this.current !== null && this.current.language !== null) await this.#tell({ language: tongue });
    speak(tongue);
  }

  /** What was chosen holds in this browser even if the others are not told of it. */
  async #tell(change: PreferencesChange): Promise<void> {
    await this.choose(change).catch((error: unknown) => toasts.show(explain(error), "error"));
  }

  /** Chooses anew what is given; throws what the server says against it. */
  async choose(change: PreferencesChange): Promise<void> {
    this.changed(await api.changePreferences(change));
  }
}

export const preferences = new PreferencesState();
