/** 对话列表、项目、归档和搜索。 */

import { plural } from "../../plural";
import type en from "../en/chats";

const words: typeof en = {
  chats: {
    more: "对话列表的更多操作",
    pinned: "置顶",
    pin: "置顶",
    unpin: "取消置顶",
    archive: "归档",
    restore: "恢复",
    move: "移动到项目",
    save: { markdown: "保存为 Markdown", json: "保存为 JSON" },
    select: "选择",
    selectMany: "选择对话",
    archived: (count) => plural(count, { other: "已归档 # 个对话。" }),
    moved: (count, project) => plural(count, { other: `已将 # 个对话移到“${project}”。` }),
    movedOut: (count) => plural(count, { other: "已将 # 个对话移出项目。" }),
    deleted: (count) => plural(count, { other: "已删除 # 个对话。" }),
    undo: "撤销",
  },

  selection: {
    label: "已选择的对话",
    count: (count) => plural(count, { other: "已选择 # 个" }),
    all: "全选",
    end: "完成",
    row: (title) => `选择 ${title}`,
    remove: (count) => plural(count, { other: "删除 # 个对话？" }),
    removeText: "这些对话及其所有消息将被永久删除。正在生成的回答会停止。",
  },

  archive: {
    title: "归档",
    text: "归档的对话不在列表中显示，但仍可搜索到。",
    none: "没有归档的对话。",
    removeAll: "全部删除",
    removeAllTitle: "删除归档中的所有对话？",
  },

  projects: {
    title: "项目",
    make: "新建项目",
    none: "不属于任何项目",
    edit: "编辑项目",
    actions: (name) => `项目“${name}”的操作`,
    name: "名称",
    instructions: "指令",
    instructionsHint: "在项目的每个对话之前告诉每个模型，位于你自己的指令之后。",
    noInstructions: "还没有指令。",
    submit: "保存",
    create: "创建项目",
    newChat: "在此项目中新建对话",
    chats: "项目中的对话",
    empty: "还没有对话。可以在这里新建，或从对话的菜单移动到这里。",
    missing: "此项目不存在",
    newChatIn: (name) => `在项目“${name}”中`,
    leave: "不在项目中写",
    remove: "删除项目",
    removeTitle: (name) => `删除项目“${name}”？`,
    removeText: "其中的对话会保留，不再属于任何项目。",
    removeChats: "同时删除其中的对话",
    moveTitle: (count) => plural(count, { other: "将 # 个对话移动到" }),
  },

  find: {
    title: "搜索对话",
    placeholder: "搜索标题和消息",
    none: "没有同时包含这些词的内容。",
    titles: "对话",
    messages: "消息",
    recent: "最近的对话",
    more: "显示更多",
    failed: "搜索失败。",
    archived: "已归档",
    count: (count) => plural(count, { other: "# 个结果" }),
    hint: "用引号搜索完整短语：\"像这样\"。",
  },
};
export default words;
