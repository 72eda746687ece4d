//! Paths as they may be shown.

/// The path with every escape that no path needs (`%2D`) written plainly (RFC 3986, 6.2.2.2), so that a key is seen however it is spelt.
pub fn plain_path(path: &str) -> String {
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

    use super::plain_path;

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
}
