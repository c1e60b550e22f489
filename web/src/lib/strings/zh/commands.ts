/** Chinese, in simplified characters: the words of what can be done from anywhere, of its palette and of the sheet of shortcuts. */

import { plural } from "../../plural";
import type en from "../en/commands";

const words: typeof en = {
  commands: {
    palette: "命令、对话和模型",
    newChat: "新对话",
    temporary: "开始或结束临时对话",
    find: "搜索对话",
    write: "写消息",
    stop: "停止回答",
    copyAnswer: "复制最后的回答",
    chooseModel: "选择模型",
    sidebar: "显示或隐藏侧边栏",
    shortcuts: "键盘快捷键",
    account: "账户",
    keys: "API 密钥",
    models: "模型",
    playground: "试验场",
    compare: "比较模型",
    archive: "归档",
    admin: "管理",
    users: "用户",
    reference: "API 参考",
  },

  palette: {
    label: "命令或对话",
    placeholder: "想做什么？",
    none: "没有匹配的内容。",
    found: (count) => plural(count, { other: "# 个结果" }),
    commands: "命令",
    chats: "对话",
    projects: "项目",
    models: "模型",
    looks: "外观",
    languages: "语言",
    findText: (query) => `在所有对话中搜索“${query}”`,
  },

  sheet: {
    send: "发送",
    newLine: "换行",
    messages: "在消息之间移动",
    enter: "Enter",
    shift: "Shift",
    escape: "Esc",
    single: "单独按“/”即可写消息",
    singleHint: "如果语音控制或误触会按下按键，请将其关闭。",
  },
};
export default words;
