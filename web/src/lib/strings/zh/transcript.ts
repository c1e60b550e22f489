/** The words of a long transcript. */

import type en from "../en/transcript";

const words: typeof en = {
  longChat: {
    messages: "消息",
    notLoaded: "无法加载此消息。",
    retry: "重试",
    contextFrom: (tokens: string) => `模型已看不到以上内容：其上下文最多 ${tokens} 个词元。`,
    contextCut: (tokens: string) => `最早的消息已超出模型 ${tokens} 个词元的上下文，本次回答未包含这些内容。`,
    contextHint: "若要让模型重新看到全部内容，请选择上下文更大的模型，或附上摘要在新对话中继续。",
  },
};
export default words;
