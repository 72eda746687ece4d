//! What the cache of verified keys knows a key by.

use std::fmt;

use secrecy::{ExposeSecret, SecretBox};

use super::{PresentedKey, random_bytes};

/// The key of the digests: random and new in each process, so that a digest means nothing elsewhere.
pub struct DigestKey(SecretBox<[u8; 32]>);

impl DigestKey {
    /// Makes a new one.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn generate() -> Result<Self, getrandom::Error> {
        random_bytes().map(Self)
    }

    /// What the cache of verified keys knows this key by.
    pub fn digest(&self, presented: &PresentedKey<'_>) -> CacheDigest {
        CacheDigest(*blake3::keyed_hash(self.0.expose_secret(), presented.secret_text().as_bytes()).as_bytes())
    }
}

/// A keyed digest of a whole presented key: the cache of verified keys is looked up by it and holds no plain secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CacheDigest([u8; 32]);

impl fmt::Debug for DigestKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("DigestKey([REDACTED])")
    }
}

impl fmt::Debug for CacheDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CacheDigest([REDACTED])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret_key::{PlainSecretKey, TagKey};

    #[test]
    fn a_digest_is_of_one_key_in_one_process() {
        let tag_key = TagKey::generate().unwrap();
        let (_, key) = PlainSecretKey::generate(&tag_key).unwrap();
        let (_, other) = PlainSecretKey::generate(&tag_key).unwrap();
        let presented = PresentedKey::parse(key.expose(), &tag_key).unwrap();
        let presented_other = PresentedKey::parse(other.expose(), &tag_key).unwrap();

        let this_process = DigestKey::generate().unwrap();
        let another_process = DigestKey::generate().unwrap();
        let digest = this_process.digest(&presented);
        assert!(digest == this_process.digest(&presented));
        assert!(digest != this_process.digest(&presented_other));
        assert!(digest != another_process.digest(&presented));
        assert_eq!(format!("{digest:?} {this_process:?}"), "CacheDigest([REDACTED]) DigestKey([REDACTED])");
    }
}
