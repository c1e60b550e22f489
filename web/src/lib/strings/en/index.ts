/** The words that the page needs from its first moment; those of pages that few open come with these. */

import answer from "./answer";
import chats from "./chats";
import conversation from "./conversation";
import core from "./core";
import errors from "./errors";
import transcript from "./transcript";

export default { ...core, ...answer, ...chats, ...conversation, ...errors, ...transcript };
