/** What became of a form: on its way, or refused with a reason. */

import { explain } from "../api";

export class Submission {
  busy = $state(false);
  error = $state<string | null>(null);

  /** Does the work unless it is being done; whether it went well. */
  async run(work: () => Promise<void>): Promise<boolean> {
    if (this.busy) return false;
    this.busy = true;
    this.error = null;
    try {
      await work();
      return true;
    } catch (error) {
      this.error = explain(error);
      return false;
    } finally {
      this.busy = false;
    }
  }
}
