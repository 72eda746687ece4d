//! A random token that somebody holds to show that it is still they: 256 bits, of which only the BLAKE3 hash is kept. What is random
//! needs no slow hash, and who reads the database learns no token.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, ExposeSecretMut, SecretBox, SecretString};

const LENGTH: usize = 32;

/// A token in plain: given once to whom it is for, in a cookie or a link. Wiped when dropped.
pub struct Token(SecretBox<[u8; LENGTH]>);

impl Token {
    /// Makes a new one.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = SecretBox::<[u8; LENGTH]>::default();
        getrandom::fill(bytes.expose_secret_mut())?;
        Ok(Self(bytes))
    }

    /// Reads the text of [`Token::to_text`]. `None` when it is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(BASE64.decode(text).ok()?);
        let bytes: &[u8; LENGTH] = bytes.as_slice().try_into().ok()?;
        Some(Self(SecretBox::init_with_mut(|token: &mut [u8; LENGTH]| token.copy_from_slice(bytes))))
    }

    /// 43 letters, digits, `-` and `_`, fit for a cookie and for an address.
    pub fn to_text(&self) -> SecretString {
        BASE64.encode(self.0.expose_secret()).into()
    }

    /// What is kept of it.
    pub fn hash(&self) -> TokenHash {
        TokenHash(*blake3::hash(self.0.expose_secret()).as_bytes())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token([REDACTED])")
    }
}

/// The hash of a token: what it is found by.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; LENGTH]);

impl TokenHash {
    /// The bytes, for the database.
    pub const fn as_bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }

    /// Reads the bytes as the database keeps them. `None` when there are not 32.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenHash([REDACTED])")
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn a_text_leads_back_to_its_token() {
        let (token, other) = (Token::generate().unwrap(), Token::generate().unwrap());
        let text = token.to_text();
        let text = text.expose_secret();
        assert_eq!(text.len(), 43);
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'), "{text}");
        assert!(Token::parse(text).unwrap().hash() == token.hash());
        assert!(other.hash() != token.hash());
        assert!(TokenHash::from_slice(token.hash().as_bytes()) == Some(token.hash()));
        assert!(TokenHash::from_slice(&[0; 31]).is_none());
    }

    #[rstest]
    #[case::empty("")]
    #[case::short("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    #[case::long("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    #[case::padded("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")]
    #[case::other_alphabet("+AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    #[case::another_text_of_the_same_bytes("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB")]
    #[case::hanzi("令牌")]
    fn other_texts_are_no_token(#[case] text: &str) {
        assert!(Token::parse(text).is_none());
    }

    #[test]
    fn debug_shows_no_token() {
        let token = Token::generate().unwrap();
        assert_eq!(format!("{token:?} {:?}", token.hash()), "Token([REDACTED]) TokenHash([REDACTED])");
    }
}
