//! A Secret Key that was put in the wrong place (a model's name, a path) is not repeated, neither to its sender nor in the log.

/// How every key begins.
const PREFIX: &str = "sk-xy";

/// The text with `sk-xy...` in place of whatever looks like a key.
pub(crate) fn without_keys(text: String) -> String {
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

/// The path with every escape that no path needs (`%2D`) written plainly (RFC 3986, 6.2.2.2), so that a key is seen however it is spelt.
pub(crate) fn plain_path(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        plain.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok()).map(char::from);
        let unneeded = code.filter(|character| character.is_ascii_alphanumeric() || "-._~".contains(*character));
        plain.push(unneeded.unwrap_or('%'));
        rest = &rest[at + if unneeded.is_some() { 3 } else { 1 }..];
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{plain_path, without_keys};

    #[rstest]
    #[case("/v1/models", "/v1/models")]
    #[case("/sk%2Dxy%41b%7e", "/sk-xyAb~")]
    #[case("/a%2Fb%20c%e4%bd%a0", "/a%2Fb%20c%e4%bd%a0")]
    #[case("/%", "/%")]
    #[case("/%4", "/%4")]
    #[case("/%4你", "/%4你")]
    #[case("/%+4%zz%2", "/%+4%zz%2")]
    fn escapes_that_no_path_needs(#[case] path: &str, #[case] expected: &str) {
        assert_eq!(plain_path(path), expected);
    }

    #[rstest]
    #[case("nothing to hide", "nothing to hide")]
    #[case("the model \"sk-xyAb9\" does not exist", "the model \"sk-xy...\" does not exist")]
    #[case("sk-xyAsk-xyB-sk-xy", "sk-xy...sk-xy...-sk-xy")]
    #[case("它是sk-xyA。", "它是sk-xy...。")]
    fn keys_are_cut_down_to_their_prefix(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(without_keys(text.to_owned()), expected);
    }
}
