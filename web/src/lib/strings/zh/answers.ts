/** What an answer is made of: its tokens, its parts, and what can be done with them. */

import { plural } from "../../plural";
import type en from "../en/answers";

const words: typeof en = {
  tokens: {
    label: "回答的词元",
    loading: "正在重新读取回答",
    failed: "无法计算词元的概率。",
    retry: "重试",
    intro: "每个词元的颜色表示模型认为它有多大可能，未计入温度和其他设置。",
    keys: "用方向键在词元之间移动，按回车键查看其他候选。",
    legend: "概率",
    numbers: "显示数字",
    atLeast: (percent: string) => `≥ ${percent}`,
    below: (percent: string) => `< ${percent}`,
    perplexity: "困惑度",
    perplexityHint: "相当于要从这么多个同样可能的词元中猜出一个",
    mean: "平均概率",
    count: "词元数",
    surprises: "可能性最小的",
    soFar: (count: string, total: string) => `前 ${count} 个词元，共 ${total} 个`,
    more: "显示更多词元",
    tokenised: "这段文字并非由这里的模型原样写成，仅为此视图切分成词元。",
    changed: "自写成以来，指令或上文有所改变，因此数字可能与当时不同。",
    first: "第一个词元没有概率。",
    told: (token: string, probability: string, rank: string) => `${token}，${probability}，${rank}`,
    rank: (rank: number) => `第 ${rank} 名`,
    rankBeyond: (count: number) => `不在最可能的 ${count} 个之中`,
    piece: (index: number, count: number) => `一个字符的第 ${index} 部分，共 ${count} 部分`,
    alternatives: "此处最可能的词元",
    chosen: "已选",
    continueWith: (token: string) => `从“${token}”继续`,
    continueHint: "新版本的回答会保留前面的内容，并从你选的词元继续。",
    ends: "结束回答",
    space: "空格",
    spaces: (count: number) => plural(count, { other: "# 个空格" }),
    newLine: "换行",
    newLines: (count: number) => plural(count, { other: "# 个换行" }),
    tab: "制表符",
    bytes: (hex: string) => `字节 ${hex}`,
  },
};
export default words;
