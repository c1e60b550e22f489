/** Chinese: what the server's error codes mean. */

import type en from "../en/errors";

const words: typeof en = {
  codes: {
    not_signed_in: "你尚未登录。",
    wrong_password: "名称与密码不匹配。",
    wrong_own_password: "密码错误。",
    wrong_code: "验证码不正确或已被使用。",
    wrong_passkey: "此通行密钥未能证明是你本人。请重试，或用其他方式登录。",
    second_factor_setup_required: "此服务器要求所有人启用双重验证。",
    second_factor_required: "请输入双重验证的验证码。",
    provider_error: "身份提供方出错。",
    account_disabled: "这个账户已停用，所有者或管理员可以重新启用。",
    too_many_attempts: "尝试次数过多，请稍等后再试。",
    not_found: "它不存在，或已不存在。",
    conflict: "这与已保存的内容冲突，请重新加载页面。",
    refused: "不允许这样做。",
    content_too_large: "内容过大。",
    context_length_exceeded: "超出了这个模型一次能读取的长度。请缩短内容、开始新对话，或选择上下文更长的模型。",
    invalid_request: "服务器无法接受这个请求。",
    invalid_value: "服务器无法接受这个值。",
    unsupported_parameter: "这里不支持这样做。",
    model_not_found: "这里没有这个模型，请选择其他模型。",
    rate_limit_exceeded: "短时间内请求过多，请稍等后再试。",
    insufficient_quota: "今天的配额已用完。",
    engine_busy: "等待中的请求已经太多，请稍后再试。",
    engine_crashed: "模型意外退出，正在重新启动，请再试一次。",
    engine_error: "回答失败。",
    model_too_large: "内存容不下这个模型，请选择更小的模型。",
    server_stopping: "服务器正在停止。",
    disk_full: "服务器的磁盘已满。",
    hub_error: "无法获取模型。",
    sources_unreachable: "无法获取模型：所有来源都没有响应。",
    hash_mismatch: "收到的文件不是预期的模型，已将其删除。",
    model_file_error: "这个模型文件无法使用。",
    store_error: "无法使用数据库。",
    store_unavailable: "数据库暂时没有响应。已保存的内容是安全的，请稍后再试。",
    internal_error: "服务器内部出错。",
  },
};
export default words;
