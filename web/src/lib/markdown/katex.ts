/** KaTeX with its style sheet: a chunk of its own, loaded when the first formula appears. */

import "katex/dist/katex.min.css";
import katex from "katex";

export { katex };
