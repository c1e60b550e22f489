/** Short notices at the edge of the screen, most of them gone after a while. */

const SHOWN_MS = 6000;

/** Something that can be done about what a notice says, as long as it is shown. */
interface ToastAction {
  text: string;
  run: () => void;
}

export interface Toast {
  id: number;
  text: string;
  tone: "info" | "error";
  /** What can be done about it. */
  action: ToastAction | null;
}

let shown = $state.raw<Toast[]>([]);
let last = 0;
/** Somebody is at the notices, with the pointer or the focus: none goes away under their hand. */
let held = false;
/** Those whose time came meanwhile. */
const overdue = new Map<number, number>();

function expire(id: number, after: number): void {
  setTimeout(() => (held ? overdue.set(id, after) : toasts.dismiss(id)), after);
}

export const toasts = {
  get all(): readonly Toast[] {
    return shown;
  },

  show(text: string, tone: Toast["tone"] = "info", action: ToastAction | null = null): void {
    // The same notice twice says nothing new.
    shown = shown.filter((toast) => toast.text !== text);
    const id = ++last;
    shown = [...shown, { id, text, tone, action }];
    // What can be undone needs the time to reach it.
    expire(id, action === null ? SHOWN_MS : 2 * SHOWN_MS);
  },

  /** Whether somebody is at them; when nobody is any more, their time begins anew. */
  hold(on: boolean): void {
    held = on;
    if (on) return;
    for (const [id, after] of overdue) expire(id, after);
    overdue.clear();
  },

  /** Until somebody has answered it: it may have come while nobody was looking. */
  keep(text: string, action: ToastAction | null = null): void {
    if (shown.some((toast) => toast.text === text)) return;
    shown = [...shown, { id: ++last, text, tone: "info", action }];
  },

  dismiss(id: number): void {
    shown = shown.filter((toast) => toast.id !== id);
  },
};
