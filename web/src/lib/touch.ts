/** A finger instead of a mouse: focusing a field opens a keyboard over half the screen, and Enter has no Shift. */
export const touch = window.matchMedia("(pointer: coarse)");
