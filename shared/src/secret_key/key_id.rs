//! The name of a Secret Key.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::fill_with_base62;

pub(super) const ID_LENGTH: usize = 12;

/// The name of a key: 12 characters of base62. It is no secret, and may be logged and shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub(super) [u8; ID_LENGTH]);

impl KeyId {
    /// A new name, which no other key has.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut id = [0; ID_LENGTH];
        fill_with_base62(&mut id)?;
        Ok(Self(id))
    }

    /// The 12 characters.
    pub fn as_str(&self) -> &str {
        // Nothing but ASCII ever gets in, so there is no other case.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// A text that is not the name of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key id is {ID_LENGTH} letters and digits, as `key list` shows them")]
pub struct InvalidKeyId;

impl FromStr for KeyId {
    type Err = InvalidKeyId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = <[u8; ID_LENGTH]>::try_from(text.as_bytes()).map_err(|_| InvalidKeyId)?;
        if !id.iter().all(u8::is_ascii_alphanumeric) {
            return Err(InvalidKeyId);
        }
        Ok(Self(id))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KeyId({self})")
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn text_and_json_are_the_twelve_characters() {
        let id: KeyId = "0Az9Zz123456".parse().unwrap();
        assert_eq!(id.to_string(), "0Az9Zz123456");
        assert_eq!(format!("{id:?}|{id:14}|"), "KeyId(0Az9Zz123456)|0Az9Zz123456  |");
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"0Az9Zz123456\"");
        assert_eq!(serde_json::from_str::<KeyId>("\"0Az9Zz123456\"").unwrap(), id);
        assert!(serde_json::from_str::<KeyId>("\"0Az9Zz12345\"").is_err());
    }

    #[rstest]
    #[case::empty("")]
    #[case::short("0Az9Zz12345")]
    #[case::long("0Az9Zz1234567")]
    #[case::other_ascii("0Az9Zz12345-")]
    #[case::twelve_bytes_of_other_letters("éééééé")]
    fn other_text_is_refused(#[case] text: &str) {
        assert_eq!(text.parse::<KeyId>(), Err(InvalidKeyId));
    }
}
