/** What can be done with an answer, beside it, and what is shown in it. */

import { plural } from "../../plural";
import type en from "../en/answer";

const words: typeof en = {
  answer: {
    tokens: "显示每个词元的概率",
    text: "显示回答本身",
    thinking: "正在思考",
    thought: "思考过程",
    thoughtFor: (time: string) => `思考了 ${time} 秒`,
    copyText: "复制为纯文本",
    wrap: "自动换行",
    download: "下载",
    lines: (count: number) => plural(count, { other: "# 行" }),
    copyTable: "复制表格",
    footnotes: "脚注",
    formulaFailed: "无法绘制此公式：",
    diagram: "图表",
    diagramFailed: "无法绘制此图表：",
    tooLong: "内容过长",
    ended: "结束方式",
    stop: "自然结束",
    length: "达到长度上限",
    cancelled: "被停止",
    context: "已用上下文",
    used: (tokens: string, of: string, percent: string) => `${of} 个词元中的 ${tokens} 个，${percent} %`,
    temperature: "温度",
    maxTokens: "长度上限",
    penalty: "重复惩罚",
  },
};
export default words;
