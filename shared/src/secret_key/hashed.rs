//! The stored form of a Secret Key.

use std::fmt;

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};

use super::{PlainSecretKey, PresentedKey};

/// The Argon2id hash of a key as a PHC string: the only form in which a key is stored.
#[derive(Clone)]
pub struct HashedSecretKey(String);

impl HashedSecretKey {
    /// Takes a hash that [`hash`] made earlier.
    pub fn from_stored(phc: String) -> Self {
        Self(phc)
    }

    /// The PHC string, for the database.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Argon2 could not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the Secret Key could not be hashed: {0}")]
pub struct HashError(argon2::password_hash::Error);

/// Hashes a key for storage: Argon2id over the whole text, with a random salt.
///
/// 64 KiB and one pass are far below what a password needs, on purpose. A slow hash makes guessing dear, and 256 random
/// bits cannot be guessed at any speed; a fast one lets a server that just started, with its cache empty, admit
/// thousands of keys at once. Passwords of people use other settings.
///
/// # Errors
/// When the operating system gives no random bytes for the salt.
pub fn hash(key: &PlainSecretKey) -> Result<HashedSecretKey, HashError> {
    const MEMORY_KIB: u32 = 64;
    const PASSES: u32 = 1;
    const LANES: u32 = 1;
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| HashError(error.into()))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let phc = argon2.hash_password(key.expose().as_bytes()).map_err(HashError)?;
    Ok(HashedSecretKey(phc.to_string()))
}

/// Whether the presented key is the one that was hashed, by the settings that the hash names, in constant time. A
/// stored hash that cannot be read matches nothing.
pub fn verify(presented: &PresentedKey<'_>, hashed: &HashedSecretKey) -> bool {
    Argon2::default().verify_password(presented.secret_text().as_bytes(), hashed.as_str()).is_ok()
}

impl fmt::Debug for HashedSecretKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("HashedSecretKey([REDACTED])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret_key::TagKey;

    #[test]
    fn only_the_key_that_was_hashed_is_right() {
        let tag_key = TagKey::generate().unwrap();
        let (_, key) = PlainSecretKey::generate(&tag_key).unwrap();
        let (_, other) = PlainSecretKey::generate(&tag_key).unwrap();
        let presented = PresentedKey::parse(key.expose(), &tag_key).unwrap();

        let hashed = hash(&key).unwrap();
        let stored = HashedSecretKey::from_stored(hashed.as_str().to_owned());
        assert!(verify(&presented, &stored));
        assert!(!verify(&PresentedKey::parse(other.expose(), &tag_key).unwrap(), &stored));
        assert!(!verify(&presented, &HashedSecretKey::from_stored("not a hash".to_owned())));
    }

    #[test]
    fn the_stored_form_names_its_settings_and_is_salted() {
        let (_, key) = PlainSecretKey::generate(&TagKey::generate().unwrap()).unwrap();
        let (one, other) = (hash(&key).unwrap(), hash(&key).unwrap());
        assert!(one.as_str().starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{}", one.as_str());
        assert_ne!(one.as_str(), other.as_str());
        assert_eq!(format!("{one:?}"), "HashedSecretKey([REDACTED])");
    }
}
