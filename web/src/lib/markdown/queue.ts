/**
 * Drawing spread over frames: a long text that comes into sight is drawn block by block, those nearest to the middle of
 * the window first, for so long in a frame that scrolling stays smooth.
 */

/** Of a frame's sixteen, with room for the page's own work. */
const SLICE_MS = 6;

const waiting = new Map<Element, () => void>();
let frame: number | null = null;

/** Draws into an element when its turn comes. Gives back what takes that back. */
export function later(element: Element, draw: () => void): () => void {
  waiting.set(element, draw);
  frame ??= requestAnimationFrame(slice);
  return () => {
    if (waiting.get(element) === draw) waiting.delete(element);
  };
}

function slice(): void {
  const until = performance.now() + SLICE_MS;
  const middle = window.innerHeight / 2;
  const order = [...waiting.keys()].map((element) => {
    const { top, bottom } = element.getBoundingClientRect();
    return { element, distance: Math.max(0, top - middle, middle - bottom) };
  });
  order.sort((a, b) => a.distance - b.distance);
  for (const { element } of order) {
    const draw = waiting.get(element);
    waiting.delete(element);
    draw?.();
    if (performance.now() >= until) break;
  }
  frame = waiting.size > 0 ? requestAnimationFrame(slice) : null;
}
