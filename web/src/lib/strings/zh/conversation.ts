/** 对消息的操作：修改、复制、分叉、比较和排队。 */

import { plural } from "../../plural";
import type en from "../en/conversation";

const words: typeof en = {
  editing: {
    actions: "此消息的更多操作",
    answerLabel: "编辑回答",
    save: "保存",
    saveCopy: "另存为副本",
    overwrite: "仍然保存",
    edited: "已编辑",
    editedAt: (time) => `编辑于 ${time}`,
    elsewhere: "此消息刚刚在另一个标签页中被修改。你的文字仍保留在这里：可以仍然保存，或另存为副本。",
    dropped: "你的更改已放弃。",
    fork: "分叉为新对话",
    forked: "这是分叉出来的独立对话。",
    branchOf: (title: string) => `分支 · ${title}`,
    compare: "比较版本",
  },

  compare: {
    title: "比较版本",
    left: "第一个版本",
    right: "第二个版本",
    version: (index, count) => `版本 ${index}/${count}`,
    same: "两个版本内容相同。",
    differ: (count) => plural(count, { other: "# 处不同" }),
    unlike: "两个版本几乎没有共同之处：已全部标出。",
    removed: "仅在第一个版本：",
    added: "仅在第二个版本：",
    close: "关闭",
  },

  queue: {
    send: "在此回答之后发送",
    waits: "上面的回答完成后发送",
    held: "未发送：上面的回答提前结束",
    now: "立即发送",
    withdraw: "撤回",
    late: "消息已经发送，正在撰写回答。",
    answer: "回答会在上面的回答之后出现。",
  },

  temporary: {
    title: "临时对话",
    start: "临时对话",
    end: "结束此临时对话",
    note: "它不会保存在任何地方，也不出现在任何列表中。离开对话后它立即消失；关闭此标签页后，它在十分钟后消失。",
    hint: "不保存在任何地方：离开即消失。",
    over: "临时对话已结束，没有保留任何内容。",
  },

  drafts: {
    notKept: "此浏览器的存储空间已满或被禁用：你输入的内容只在此页面打开期间保留。",
  },
};
export default words;
