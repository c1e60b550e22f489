/** Keys as this computer's keyboard names them. */

const isApple = /Mac|iPhone|iPad/.test(navigator.platform);

export const command = isApple ? "⌘" : "Ctrl";
export const alternative = isApple ? "⌥" : "Alt";
