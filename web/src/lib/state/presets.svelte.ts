/** The person's presets, by name. */

import { api } from "../api";
import { newId } from "../ids";
import { locale } from "../language";
import type { Preset, Tuning } from "../types";

const byName = new Intl.Collator(locale);

class Presets {
  all = $state.raw<Preset[]>([]);

  /** What new chats begin with. */
  readonly default = $derived(this.all.find((preset) => preset.is_default) ?? null);

  async load(): Promise<void> {
    this.all = (await api.presets()).presets;
  }

  async keep(name: string, { system_prompt, parameters }: Tuning): Promise<void> {
    const preset = { id: newId(), name, model: null, system_prompt, parameters: parameters ?? {}, is_default: false };
    this.#put(await api.makePreset(preset));
  }

  /** Other settings under the same name. */
  async replace(preset: Preset, { system_prompt, parameters }: Tuning): Promise<void> {
    this.#put(await api.changePreset(preset.id, { system_prompt, parameters: parameters ?? {} }));
  }

  /** What was deleted, as it was. */
  async restore({ id, name, model, system_prompt, parameters, is_default }: Preset): Promise<void> {
    this.#put(await api.makePreset({ id, name, model, system_prompt, parameters, is_default }));
  }

  async rename(preset: Preset, name: string): Promise<void> {
    this.#put(await api.changePreset(preset.id, { name }));
  }

  async setDefault(preset: Preset, is_default: boolean): Promise<void> {
    const changed = await api.changePreset(preset.id, { is_default });
    this.all = this.all.map((other) => ({ ...other, is_default: false }));
    this.#put(changed);
  }

  async remove(preset: Preset): Promise<void> {
    await api.deletePreset(preset.id);
    this.all = this.all.filter(({ id }) => id !== preset.id);
  }

  #put(preset: Preset): void {
    const others = this.all.filter(({ id }) => id !== preset.id);
    this.all = [...others, preset].sort((a, b) => byName.compare(a.name, b.name));
  }
}

export const presets = new Presets();
