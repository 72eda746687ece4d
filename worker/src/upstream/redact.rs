//! What a provider says about a request, made fit for the caller: no key, address, name of a host or e-mail address,
//! and the public name of the model instead of the provider's. When in doubt a word is taken out: the caller loses
//! little, while the rule that no provider's name or URL is shown has no exceptions.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The longest message that is passed on, in characters.
const LONGEST: usize = 500;
/// A provider key shorter than this (`none`, `x`) is a word that may stand anywhere, and no secret.
const SHORTEST_KEY: usize = 8;
/// So much of a key's start at the end of a text is taken for the rest of a whole one.
const SHORTEST_START: usize = 4;

const KEY: &str = "[key]";
const LINK: &str = "[link]";
const ADDRESS: &str = "[address]";
const EMAIL: &str = "[e-mail]";

/// What is known to be confidential in the provider's texts, beyond what looks it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Redaction<'a> {
    /// The provider's name of the model.
    pub(super) upstream_model: &'a str,
    /// What stands instead.
    pub(super) public_model: &'a str,
    /// The provider's key.
    pub(super) key: Option<&'a str>,
    /// The provider's host.
    pub(super) host: Option<&'a str>,
}

impl Redaction<'_> {
    /// The text without what must not be shown, on one line, at most 500 characters. Empty when nothing is left.
    pub(super) fn apply(&self, text: &str) -> String {
        let mut text: String =
            text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
        if let Some(key) = self.key.filter(|key| key.len() >= SHORTEST_KEY) {
            text = without_key(&text, key);
        }
        text = without_links(&text);
        if let Some(host) = self.host {
            text = split_at_word(&text, host).join(ADDRESS);
        }
        let around_the_model = split_at_word(&text, self.upstream_model);
        let pieces: Vec<String> = around_the_model.into_iter().map(without_names).collect();
        cap(pieces.join(self.public_model).trim())
    }
}

/// Takes the key out, and the start of one that was left where a text was cut.
fn without_key(text: &str, key: &str) -> String {
    let text = text.replace(key, KEY);
    let is_left = |length: &usize| key.get(..*length).is_some_and(|start| text.ends_with(start));
    match (SHORTEST_START..key.len()).rev().find(is_left) {
        Some(length) => format!("{}{KEY}", &text[..text.len() - length]),
        None => text,
    }
}

fn cap(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect()
}

/// The parts of `text` around `word` (whatever its letters' case), where it does not lie within a longer ASCII word.
fn split_at_word<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    if word.is_empty() {
        return vec![text];
    }
    // Only ASCII letters change, so places in the folded text are places in the text.
    let (folded, word) = (text.to_ascii_lowercase(), word.to_ascii_lowercase());
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, _) in folded.match_indices(&word) {
        let end = at + word.len();
        let goes_on_in_front = folded[..at].ends_with(|character: char| character.is_ascii_alphanumeric());
        let goes_on_behind = folded[end..].starts_with(|character: char| character.is_ascii_alphanumeric());
        if !goes_on_in_front && !goes_on_behind {
            parts.push(&text[start..at]);
            start = end;
        }
    }
    parts.push(&text[start..]);
    parts
}

/// Puts a word in the place of everything around a `://`.
fn without_links(text: &str) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let in_front = rest[..at]
            .trim_end_matches(|character: char| character.is_ascii_alphanumeric() || "+-.".contains(character));
        let behind = &rest[at..];
        let link = &behind[..behind.find(ends_link).unwrap_or(behind.len())];
        let link = link.trim_end_matches(|character: char| ".,;:!?)]}".contains(character));
        redacted.push_str(in_front);
        redacted.push_str(LINK);
        rest = &behind[link.len().max("://".len())..];
    }
    redacted.push_str(rest);
    redacted
}

fn ends_link(character: char) -> bool {
    character.is_whitespace() || "\"'`<>，。；：！？、（）《》「」【】“”‘’".contains(character)
}

/// Puts a word in the place of each key, e-mail address and host name.
fn without_names(text: &str) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut after_bearer = false;
    let mut rest = text;
    while let Some(start) = rest.find(is_word) {
        redacted.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.find(|character| !is_word(character)).unwrap_or(rest.len());
        let word = rest[..end].trim_end_matches(['.', ':']);
        if !word.is_empty() {
            redacted.push_str(if after_bearer { KEY } else { stand_in_for(word).unwrap_or(word) });
            after_bearer = word.eq_ignore_ascii_case("bearer");
        }
        redacted.push_str(&rest[word.len()..end]);
        rest = &rest[end..];
    }
    redacted.push_str(rest);
    redacted
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-._~@+%/:*".contains(character)
}

fn stand_in_for(word: &str) -> Option<&'static str> {
    if word.split([':', '/']).any(is_key) {
        return Some(KEY);
    }
    if word.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty()) {
        return Some(EMAIL);
    }
    if word.contains(':') && word.parse::<Ipv6Addr>().is_ok() {
        return Some(ADDRESS);
    }
    let has_host = word.split(':').any(|part| part.split('/').find(|segment| !segment.is_empty()).is_some_and(is_host));
    has_host.then_some(ADDRESS)
}

/// `sk-...` and its kin, long runs of letters and digits (hexadecimal, base62), and long mixtures that base64url makes.
fn is_key(part: &str) -> bool {
    let part = part.trim_start_matches(['.', '-', '_', '*']);
    let prefixed = ["sk-", "sk_", "pk-", "rk-", "gsk_", "xai-", "hf_", "AIza"]
        .iter()
        .any(|prefix| part.len() > prefix.len() && part.starts_with(prefix));
    let long_run = part.split(|character: char| !character.is_ascii_alphanumeric()).any(|run| run.len() >= 20);
    prefixed || long_run || is_long_mixture(part)
}

fn is_long_mixture(part: &str) -> bool {
    part.len() >= 24
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        && part.bytes().any(|byte| byte.is_ascii_lowercase())
        && part.bytes().any(|byte| byte.is_ascii_uppercase())
        && part.bytes().any(|byte| byte.is_ascii_digit())
}

/// Names that begin a path inside a request, such as `messages.0.content`, which is no host's name.
const FIELDS: [&str; 21] = [
    "audio",
    "body",
    "choices",
    "content",
    "data",
    "function",
    "functions",
    "image",
    "input",
    "message",
    "messages",
    "metadata",
    "parameters",
    "prompt",
    "properties",
    "request",
    "schema",
    "stop",
    "system",
    "tool",
    "tools",
];

fn is_host(segment: &str) -> bool {
    let segment = segment.trim_matches('.');
    if segment.eq_ignore_ascii_case("localhost") || segment.parse::<Ipv4Addr>().is_ok() {
        return true;
    }
    let labels: Vec<&str> = segment.split('.').collect();
    let [first, .., last] = labels[..] else {
        return false;
    };
    let is_label =
        |label: &&str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let is_top = (last.len() >= 2 && last.bytes().all(|byte| byte.is_ascii_alphabetic())) || last.starts_with("xn--");
    is_top && labels.iter().all(is_label) && !FIELDS.contains(&first)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const REDACTION: Redaction<'_> = Redaction {
        upstream_model: "gpt-4o",
        public_model: "gpt-4",
        key: Some("provider.key+1"),
        host: Some("gateway"),
    };

    #[rstest]
    #[case::plain("temperature must be at most 2, not 2.5.", "temperature must be at most 2, not 2.5.")]
    #[case::link("see https://platform.openai.com/docs?a=b,c#d.", "see [link].")]
    #[case::links("(http://10.0.0.1:80/v1) <wss://a/b>", "([link]) <[link]>")]
    #[case::link_in_json(r#"{"url":"https://a.b/c","x":1}"#, r#"{"url":"[link]","x":1}"#)]
    #[case::link_in_chinese("请访问https://例子.中国/路径，谢谢", "请访问[link]，谢谢")]
    #[case::link_of_nothing("what is :// then", "what is [link] then")]
    #[case::link_to_v6("http://[::1]:8080/v1/models failed", "[link] failed")]
    #[case::key("Incorrect API key provided: sk-abc.", "Incorrect API key provided: [key].")]
    #[case::masked_key("key sk-pr****wxyz is wrong", "key [key] is wrong")]
    #[case::key_behind_a_colon("key:sk-proj-1 bad", "[key] bad")]
    #[case::bearer("Authorization: Bearer abc.def is wrong", "Authorization: Bearer [key] is wrong")]
    #[case::bearer_in_quotes("'bearer: \"abc\"'", "'bearer: \"[key]\"'")]
    #[case::hexadecimal("id 0123456789abcdef0123 found", "id [key] found")]
    #[case::nineteen("id 0123456789abcdef012 found", "id 0123456789abcdef012 found")]
    #[case::base64url("token aB3-aB3_aB3-aB3_aB3-aB3_ here", "token [key] here")]
    #[case::field_names("max_completion_tokens_details is wrong", "max_completion_tokens_details is wrong")]
    #[case::known_key("your provider.key+1 expired", "your [key] expired")]
    #[case::known_key_that_was_cut("your provider.key+", "your [key]")]
    #[case::known_key_that_was_cut_early("your prov", "your [key]")]
    #[case::word_that_begins_like_the_key("your pro", "your pro")]
    #[case::email("write to some.one+x@example.com!", "write to [e-mail]!")]
    #[case::host("api.provider.example said no.", "[address] said no.")]
    #[case::host_with_port_and_path("at api.provider.example:8443/v1/chat:", "at [address]:")]
    #[case::host_behind_a_colon("host:api.provider.example", "[address]")]
    #[case::host_and_model("gpt-4o.internal.example", "gpt-4[address]")]
    #[case::known_host("Gateway:8000 refused; gateways do", "[address]:8000 refused; gateways do")]
    #[case::localhost("localhost:11434 refused", "[address] refused")]
    #[case::v4("10.1.2.3:8000 and 10.1.2.4.", "[address] and [address].")]
    #[case::v6("at fe80::1 and ::1", "at [address] and [address]")]
    #[case::versions_are_no_hosts("model 3.5 of v1.2 at 12:30:45", "model 3.5 of v1.2 at 12:30:45")]
    #[case::abbreviations("e.g. this, i.e. that", "e.g. this, i.e. that")]
    #[case::paths_in_the_request(
        "messages.0.content and messages[2].role: required",
        "messages.0.content and messages[2].role: required"
    )]
    #[case::model(
        "The model `gpt-4o` (GPT-4O, gpt-4o-mini) is not gpt-4oo",
        "The model `gpt-4` (gpt-4, gpt-4-mini) is not gpt-4oo"
    )]
    #[case::model_in_chinese("模型gpt-4o不存在", "模型gpt-4不存在")]
    #[case::controls("a\u{0}b\r\nc\u{1b}[31md\u{7f}\u{85}", "a b  c [31md")]
    #[case::punctuation("... : :: -- /", "... : :: -- /")]
    #[case::nothing(" \n", "")]
    fn table(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(REDACTION.apply(text), expected);
    }

    #[test]
    fn the_public_name_is_shown_whatever_it_looks_like() {
        let redaction = Redaction { public_model: "models.gpt-4o.example.com", ..REDACTION };
        assert_eq!(redaction.apply("no gpt-4o here"), "no models.gpt-4o.example.com here");
    }

    #[test]
    fn a_short_key_is_a_word() {
        let redaction = Redaction { key: Some("x"), host: None, upstream_model: "", ..REDACTION };
        assert_eq!(redaction.apply("an example"), "an example");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let short = "你".repeat(500);
        assert_eq!(REDACTION.apply(&short), short);
        let long = REDACTION.apply(&"你".repeat(501));
        assert_eq!((long.chars().count(), long.ends_with("你…")), (500, true));
    }
}
