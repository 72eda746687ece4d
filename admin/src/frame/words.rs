//! The words that records are kept in, as people read them. A word that is not known here is shown as it is kept.

use super::language::Language;

type Words = [(&'static str, &'static str, &'static str)];

/// How calls end: `answered`, or the name of the reason why not.
const ENDINGS: &Words = &[
    ("answered", "answered", "已完成"),
    ("client_left", "client left", "客户端已断开"),
    ("upstream_rejected", "rejected by the provider", "被上游拒绝"),
    ("upstream_error", "provider failed", "上游出错"),
    ("no_channel", "no channel", "无可用渠道"),
    ("queue_full", "queue full", "队列已满"),
    ("unavailable", "not available", "服务不可用"),
    ("timeout", "timed out", "超时"),
    ("internal_error", "fault of ours", "内部错误"),
    ("outcome_unknown", "outcome unknown", "结果未知"),
];

/// What channels answered to a try.
const TRIES: &Words = &[
    ("ok", "answered", "成功"),
    ("rejected", "rejected the request", "拒绝请求"),
    ("rate_limited", "said too many requests", "限流"),
    ("failed", "failed", "失败"),
    ("timeout", "timed out", "超时"),
    ("broken_off", "broke off", "中断"),
    ("unusable", "could not be used", "不可用"),
    ("client_left", "client left", "客户端已断开"),
    ("interrupted", "interrupted", "被中止"),
];

/// Kinds of transfers.
const KINDS: &Words = &[
    ("top_up", "top-up", "充值"),
    ("capture", "charge", "扣费"),
    ("reversal", "reversal", "冲正"),
    ("write_off", "write-off", "核销"),
    ("opening", "opening", "开户"),
];

/// What is called.
const ENDPOINTS: &Words = &[
    ("chat", "chat", "对话"),
    ("completions", "completion", "补全"),
    ("images", "images", "图片"),
    ("embeddings", "embeddings", "向量"),
    ("moderations", "moderation", "内容审核"),
];

/// Codes of refusals, which are many reasons under one number.
const CODES: &Words = &[
    ("40000", "not JSON", "不是 JSON"),
    ("40001", "parameter missing", "缺少参数"),
    ("40002", "parameter wrong", "参数错误"),
    ("40003", "messages against the rules", "消息不符合规则"),
    ("40004", "content too long", "内容过长"),
    ("40005", "rejected by the provider", "被上游拒绝"),
    ("40100", "no Secret Key", "缺少密钥"),
    ("40101", "Secret Key not valid", "密钥无效"),
    ("40200", "balance too low", "余额不足"),
    ("40300", "not allowed for key, address, user or tenant", "密钥、地址、用户或客户被限制"),
    ("40400", "no such model", "模型不存在"),
    ("41300", "request too large", "请求过大"),
    ("41500", "not sent as JSON", "未以 JSON 发送"),
    ("42900", "limit used up", "超出限额"),
    ("49900", "client left", "客户端已断开"),
    ("50000", "fault of ours", "内部错误"),
    ("50001", "outcome unknown", "结果未知"),
    ("50200", "provider failed", "上游出错"),
    ("50300", "no room, channel or service", "队列、渠道或服务不可用"),
    ("50400", "timed out", "超时"),
];

/// How a call ended.
pub(crate) fn ending(word: &str, language: Language) -> &str {
    said(ENDINGS, word, language)
}

/// What a channel answered to a try.
pub(crate) fn of_try(word: &str, language: Language) -> &str {
    said(TRIES, word, language)
}

/// The kind of a transfer.
pub(crate) fn kind(word: &str, language: Language) -> &str {
    said(KINDS, word, language)
}

/// What is called.
pub(crate) fn endpoint(word: &str, language: Language) -> &str {
    said(ENDPOINTS, word, language)
}

/// What the code of a refusal means.
pub(crate) fn code(code: i64, language: Language) -> String {
    let code = code.to_string();
    said(CODES, &code, language).to_owned()
}

/// The class that shows the state of a call with this code: `0` is answered.
pub(crate) const fn state(code: u32) -> &'static str {
    match code {
        0 => "good",
        49900 => "off",
        50000.. => "bad",
        _ => "warn",
    }
}

fn said<'a>(words: &Words, word: &'a str, language: Language) -> &'a str {
    let known = words.iter().find(|(kept, ..)| *kept == word);
    known.map_or(word, |(_, english, chinese)| language.say(english, chinese))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_words_are_said_and_others_shown() {
        assert_eq!(ending("client_left", Language::English), "client left");
        assert_eq!(kind("top_up", Language::Chinese), "充值");
        assert_eq!(of_try("<new>", Language::Chinese), "<new>");
        assert_eq!(code(40200, Language::English), "balance too low");
        assert_eq!(code(12345, Language::English), "12345");
    }
}
