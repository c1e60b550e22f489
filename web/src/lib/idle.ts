/** So long at most, however busy the page is. */
const TIMEOUT_MS = 2000;

/** Does what nobody waits for when the page has nothing else to do. Some browsers do not tell when that is. */
export function whenIdle(work: () => void): void {
  if ("requestIdleCallback" in window) window.requestIdleCallback(work, { timeout: TIMEOUT_MS });
  else setTimeout(work, TIMEOUT_MS / 4);
}
