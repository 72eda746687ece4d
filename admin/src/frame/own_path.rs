//! Where to go after signing in: only to a page of our own.

/// `path` if it is one of this side and no other address in disguise.
pub(crate) fn own_path(path: &str) -> Option<&str> {
    // Browsers read `\` as `/`, and `//host` as another host; they leave out tabs and line breaks before they look.
    let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    (path.starts_with('/') && !path.starts_with("//") && is_plain).then_some(path)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("/tenants/1001?tab=keys#a", true)]
    #[case("/models/%E5%B0%8F", true)]
    #[case("", false)]
    #[case("dashboard", false)]
    #[case("//evil.org", false)]
    #[case("/\\evil.org", false)]
    #[case("/\t/evil.org", false)]
    #[case("https://evil.org", false)]
    #[case("javascript:alert(1)", false)]
    #[case("/小", false)]
    fn only_own_paths(#[case] path: &str, #[case] expected: bool) {
        assert_eq!(own_path(path).is_some(), expected);
    }
}
