/** Short notices at the edge of the screen, gone after a while. */

const SHOWN_MS = 6000;

export interface Toast {
  id: number;
  text: string;
  tone: "info" | "error";
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

  dismiss(id: number): void {
    shown = shown.filter((toast) => toast.id !== id);
  },
};
