/**
 * Where requests wait while nobody is signed in. A session may end in the middle of work (expired, revoked, or ended in
 * another tab): what was asked for then is asked for again once the same person is back, as if nothing had happened.
 * If it is somebody else, the page starts anew and nothing of this goes out.
 */

type Opened = () => void;

let waiting: Opened[] = [];
let closed = false;
let onclose: Opened = () => undefined;
let onrefuse: Opened = () => undefined;

export const gate = {
  get closed(): boolean {
    return closed;
  },

  /** Who is to be told that somebody must sign in. */
  whenClosed(listener: Opened): void {
    onclose = listener;
  },

  /** Who is to be told that something was not allowed: what this person may do could have changed. */
  whenRefused(listener: Opened): void {
    onrefuse = listener;
  },

  refused(): void {
    onrefuse();
  },

  /** Until somebody has signed in. */
  wait(): Promise<void> {
    const passed = new Promise<void>((resolve) => waiting.push(resolve));
    if (!closed) {
      closed = true;
      onclose();
    }
    return passed;
  },

  open(): void {
    closed = false;
    const passing = waiting;
    waiting = [];
    for (const pass of passing) pass();
  },
};
