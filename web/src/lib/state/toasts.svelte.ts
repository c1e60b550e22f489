/** Short notices at the edge of the screen, gone after a while. */

const SHOWN_MS = 6000;

export interface Toast {
  id: number;
  text: string;
  tone: "info" | "error";
  /** What can be done about it. Then it stays until that is done or declined. */
  action?: { text: string; run: () => void };
}

let shown = $state.raw<Toast[]>([]);
let last = 0;

export const toasts = {
  get all(): readonly Toast[] {
    return shown;
  },

  show(text: string, tone: Toast["tone"] = "info"): void {
    // The same notice twice says nothing new.
    shown = shown.filter((toast) => toast.text !== text);
    const id = ++last;
    shown = [...shown, { id, text, tone }];
    setTimeout(() => toasts.dismiss(id), SHOWN_MS);
  },

  offer(text: string, action: string, run: () => void): void {
    if (shown.some((toast) => toast.text === text)) return;
    shown = [...shown, { id: ++last, text, tone: "info", action: { text: action, run } }];
  },

  dismiss(id: number): void {
    shown = shown.filter((toast) => toast.id !== id);
  },
};
