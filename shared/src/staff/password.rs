//! Passwords: which ones are taken, and how they are kept.
//!
//! People choose what can be guessed, so each guess must be dear: Argon2id with 19 MiB and two passes, as OWASP recommends (a Secret
//! Key has 256 random bits and needs none of that; see `secret_key`). It takes tens of milliseconds of a core, so it runs beside the async
//! threads, a few at a time. For an account that is not there the same work is done on a hash that nothing fits.

use std::fmt;
use std::sync::Arc;

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

/// The fewest characters of a password.
const SHORTEST: usize = 12;
/// The most. It bounds what is hashed; nobody types so many.
const LONGEST: usize = 200;
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Passwords that are hashed at the same time; the others wait.
const AT_THE_SAME_TIME: usize = 2;
/// What a password is compared with where there is none: of the same cost, and of no password.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A password as somebody typed it. Wiped when dropped.
pub struct PlainPassword(SecretString);

impl From<String> for PlainPassword {
    fn from(typed: String) -> Self {
        Self(typed.into())
    }
}

/// A password that may be set: long enough, and not the address. Wiped when dropped.
pub(super) struct NewPassword(SecretString);

impl NewPassword {
    /// Takes what the person of `email` typed, as it is: spaces count.
    ///
    /// # Errors
    /// [`WeakPassword`].
    pub(super) fn choose(typed: PlainPassword, email: &str) -> Result<Self, WeakPassword> {
        let PlainPassword(typed) = typed;
        let text = typed.expose_secret();
        match text.chars().count() {
            ..SHORTEST => Err(WeakPassword::Short),
            count if count > LONGEST => Err(WeakPassword::Long),
            _ if text.trim().to_lowercase() == email => Err(WeakPassword::IsTheEmail),
            _ => Ok(Self(typed)),
        }
    }
}

/// Why a password is not taken. The text may be shown; it does not hold the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    /// It has too few characters.
    #[error("a password has at least {SHORTEST} characters; a few words in a row are easy to keep in mind")]
    Short,
    /// It has too many characters.
    #[error("a password has at most {LONGEST} characters")]
    Long,
    /// It is the person's e-mail address.
    #[error("the e-mail address is the first thing that anybody tries: choose another password")]
    IsTheEmail,
}

/// The Argon2id hash of a password as a PHC string: the only form in which one is kept.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct HashedPassword(String);

impl HashedPassword {
    /// Takes a hash that was made earlier.
    pub(super) fn from_stored(phc: String) -> Self {
        Self(phc)
    }

    /// The PHC string, for the database.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Argon2 could not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a password could not be hashed: {0}")]
pub struct HashingFailed(String);

impl HashingFailed {
    fn because(error: impl fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// Hashes and verifies, a few at a time. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Passwords {
    turns: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_THE_SAME_TIME)) }
    }
}

impl Passwords {
    /// Hashes a password for storage, with a random salt.
    ///
    /// # Errors
    /// [`HashingFailed`] when the operating system gives no random bytes.
    pub(super) async fn hash(&self, password: NewPassword) -> Result<HashedPassword, HashingFailed> {
        self.run(move || {
            let phc = argon2()?.hash_password(password.0.expose_secret().as_bytes()).map_err(HashingFailed::because)?;
            Ok(HashedPassword(phc.to_string()))
        })
        .await
    }

    /// Whether this is the password that was hashed, in constant time. Of no hash nothing is, after the same work.
    ///
    /// # Errors
    /// [`HashingFailed`] when the work could not be done.
    pub(super) async fn verify(
        &self,
        password: PlainPassword,
        hash: Option<HashedPassword>,
    ) -> Result<bool, HashingFailed> {
        self.run(move || {
            let phc = hash.as_ref().map_or(NOBODYS, HashedPassword::as_str);
            let is_right = argon2()?.verify_password(password.0.expose_secret().as_bytes(), phc).is_ok();
            Ok(is_right && hash.is_some())
        })
        .await
    }

    async fn run<T, F>(&self, work: F) -> Result<T, HashingFailed>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, HashingFailed> + Send + 'static,
    {
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(HashingFailed::because)?;
        let working = tokio::task::spawn_blocking(move || {
            // Whoever asked may leave; the turn is over when the work is.
            let _turn = turn;
            work()
        });
        working.await.map_err(HashingFailed::because)?
    }
}

fn argon2() -> Result<Argon2<'static>, HashingFailed> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(HashingFailed::because)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

impl fmt::Debug for PlainPassword {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PlainPassword([REDACTED])")
    }
}

impl fmt::Debug for NewPassword {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("NewPassword([REDACTED])")
    }
}

impl fmt::Debug for HashedPassword {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("HashedPassword([REDACTED])")
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn plain(text: &str) -> PlainPassword {
        text.to_owned().into()
    }

    fn choose(text: &str) -> Result<NewPassword, WeakPassword> {
        NewPassword::choose(plain(text), "ann.lee@example.com")
    }

    #[rstest]
    #[case::none("", Some(WeakPassword::Short))]
    #[case::eleven("elevenchars", Some(WeakPassword::Short))]
    #[case::twelve("twelve chars", None)]
    #[case::twelve_hanzi("一二三四五六七八九十百千", None)]
    #[case::eleven_of_four_bytes(&"😀".repeat(11), Some(WeakPassword::Short))]
    #[case::longest(&"x".repeat(200), None)]
    #[case::too_long(&"x".repeat(201), Some(WeakPassword::Long))]
    #[case::the_address("ann.lee@example.com", Some(WeakPassword::IsTheEmail))]
    #[case::the_address_in_disguise(" Ann.Lee@EXAMPLE.com ", Some(WeakPassword::IsTheEmail))]
    #[case::more_than_the_address("ann.lee@example.com!", None)]
    fn which_are_taken(#[case] text: &str, #[case] refused: Option<WeakPassword>) {
        assert_eq!(choose(text).err(), refused);
    }

    #[tokio::test]
    async fn only_the_password_that_was_hashed_is_right() {
        let passwords = Passwords::default();
        let hash = passwords.hash(choose("correct horse battery").unwrap()).await.unwrap();
        let again = passwords.hash(choose("correct horse battery").unwrap()).await.unwrap();
        assert_ne!(hash.as_str(), again.as_str(), "salted");
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.as_str());
        let stored = HashedPassword::from_stored(hash.as_str().to_owned());
        for (text, expected) in [("correct horse battery", true), ("Correct horse battery", false), ("", false)] {
            assert_eq!(passwords.verify(plain(text), Some(stored.clone())).await, Ok(expected), "{text}");
        }
        let unreadable = HashedPassword::from_stored("not a hash".to_owned());
        assert_eq!(passwords.verify(plain("not a hash"), Some(unreadable)).await, Ok(false));
    }

    /// So that neither the answer nor its time tells who has an account.
    #[tokio::test]
    async fn nobodys_hash_costs_the_same_and_fits_nothing() {
        let passwords = Passwords::default();
        let hash = passwords.hash(choose("correct horse battery").unwrap()).await.unwrap();
        let cost = |phc: &str| phc.split('$').take(4).map(ToOwned::to_owned).collect::<Vec<_>>();
        assert_eq!(cost(NOBODYS), cost(hash.as_str()));
        assert_eq!(NOBODYS.len(), hash.as_str().len());
        // It is read and computed, not refused for its form.
        let refused = argon2().unwrap().verify_password(b"", NOBODYS).unwrap_err();
        assert_eq!(refused, argon2::password_hash::Error::PasswordInvalid);
        assert_eq!(passwords.verify(plain(""), None).await, Ok(false));
    }

    #[test]
    fn debug_shows_no_password() {
        let shown = format!("{:?} {:?}", plain("correct horse battery"), choose("correct horse battery"));
        assert_eq!(shown, "PlainPassword([REDACTED]) Ok(NewPassword([REDACTED]))");
        assert_eq!(format!("{:?}", HashedPassword(String::new())), "HashedPassword([REDACTED])");
    }
}
