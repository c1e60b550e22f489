/** The words of the first view. */

import type en from "../en/index";
import answer from "./answer";
import chats from "./chats";
import conversation from "./conversation";
import core from "./core";
import errors from "./errors";
import transcript from "./transcript";

const words: typeof en = { ...core, ...answer, ...chats, ...conversation, ...errors, ...transcript };
export default words;
