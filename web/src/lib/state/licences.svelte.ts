/** Which licences the person has acknowledged, and asking for one before the first use of a model. */

import { api } from "../api";
import type { Model } from "../types";

class Licences {
  #acknowledged = $state.raw<ReadonlySet<string>>(new Set());
  /** The model whose licence is on the screen, and what is done once it is acknowledged. */
  asked = $state.raw<{ model: Model; then: () => void } | null>(null);

  async load(): Promise<void> {
    const { acknowledged } = await api.licences();
    this.#acknowledged = new Set(acknowledged.map(({ licence }) => licence));
  }

  /** Whether a model may not be used before its licence is acknowledged. */
  blocks(model: Model | null): boolean {
    return model !== null && model.forbids && model.licence !== null && !this.#acknowledged.has(model.licence);
  }

  /** Does something with a model, after its licence is acknowledged where that is needed. */
  before(model: Model | null, then: () => void): void {
    if (model === null || !this.blocks(model)) then();
    else this.asked = { model, then };
  }

  async acknowledge(): Promise<void> {
    const asked = this.asked;
    if (asked?.model.licence == null) return;
    await api.acknowledge(asked.model.licence, asked.model.name);
    this.#acknowledged = new Set([...this.#acknowledged, asked.model.licence]);
    this.asked = null;
    asked.then();
  }
}

export const licences = new Licences();
