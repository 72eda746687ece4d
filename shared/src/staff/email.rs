//! The address that a person is known by.

use std::fmt;
use std::str::FromStr;

/// The most characters of an address (RFC 5321).
const LONGEST: usize = 254;

/// An e-mail address in lower case. Two addresses that differ in capitals only are one person.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Email(String);

impl Email {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an e-mail address has one @ with a name before it and a host after it, no spaces, and at most {LONGEST} characters"
)]
pub struct InvalidEmail;

impl FromStr for Email {
    type Err = InvalidEmail;

    /// Spaces around it are left out. Whether it reaches anybody cannot be seen, so only its form is looked at.
    fn from_str(text: &str) -> Result<Self, InvalidEmail> {
        let address = text.trim().to_lowercase();
        let is_bad = |character: char| character.is_whitespace() || character.is_control();
        let has_parts = matches!(address.split_once('@'), Some((name, host)) if !name.is_empty() && !host.is_empty() && !host.contains('@'));
        if !has_parts || address.chars().count() > LONGEST || address.chars().any(is_bad) {
            return Err(InvalidEmail);
        }
        Ok(Self(address))
    }
}

impl fmt::Display for Email {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("ann@example.com", "ann@example.com")]
    #[case(" Ann.Lee+x@Example.COM\n", "ann.lee+x@example.com")]
    #[case("小明@例子.中国", "小明@例子.中国")]
    #[case("a@b", "a@b")]
    fn addresses(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(text.parse::<Email>().unwrap().as_str(), expected);
    }

    #[rstest]
    #[case("")]
    #[case("ann")]
    #[case("@example.com")]
    #[case("ann@")]
    #[case("ann@b@c")]
    #[case("ann lee@example.com")]
    #[case("ann\u{0}@example.com")]
    #[case(&format!("{}@example.com", "a".repeat(243)))]
    fn what_is_no_address(#[case] text: &str) {
        assert_eq!(text.parse::<Email>(), Err(InvalidEmail));
    }

    #[test]
    fn the_longest_address() {
        assert!(format!("{}@example.com", "a".repeat(242)).parse::<Email>().is_ok());
    }
}
