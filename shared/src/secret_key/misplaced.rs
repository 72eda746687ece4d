//! A Secret Key that was put in the wrong place (a model's name, a path, a tenant's name) is not repeated, neither to its sender nor in
//! the log.

use super::PREFIX;

/// The text with `sk-xy...` in place of whatever looks like a key.
pub fn without_keys(text: String) -> String {
    let Some(first) = text.find(PREFIX) else { return text };
    let mut redacted = text[..first].to_owned();
    for after in text[first..].split(PREFIX).skip(1) {
        redacted.push_str(PREFIX);
        let rest = after.trim_start_matches(|character: char| character.is_ascii_alphanumeric());
        if rest.len() < after.len() {
            redacted.push_str("...");
        }
        redacted.push_str(rest);
    }
    redacted
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::without_keys;

    #[rstest]
    #[case("nothing to hide", "nothing to hide")]
    #[case("the model \"sk-xyAb9\" does not exist", "the model \"sk-xy...\" does not exist")]
    #[case("sk-xyAsk-xyB-sk-xy", "sk-xy...sk-xy...-sk-xy")]
    #[case("它是sk-xyA。", "它是sk-xy...。")]
    fn keys_are_cut_down_to_their_prefix(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(without_keys(text.to_owned()), expected);
    }
}
