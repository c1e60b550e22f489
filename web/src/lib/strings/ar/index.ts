/** The words of the first view. */

import type en from "../en/index";
import core from "./core";
import errors from "./errors";

const words: typeof en = { ...core, ...errors };
export default words;
