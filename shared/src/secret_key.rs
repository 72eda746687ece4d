//! Secret Keys of developers: `sk-xy`, key id (12), secret (43), tag (8); 68 characters, all but the prefix base62.
//!
//! The tag is a MAC over what comes before it, so a mistyped or made-up key is refused without asking the database and
//! without Argon2. The secret is 256 random bits and kept only as its Argon2id hash. Plain, presented and hashed keys
//! are types of their own, and none of them shows a secret in `Debug`.

mod digest;
mod hashed;
mod key_id;
mod misplaced;

use std::fmt;

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, ExposeSecretMut, SecretBox, SecretString};
use subtle::ConstantTimeEq as _;

pub use digest::{CacheDigest, DigestKey};
pub use hashed::{HashError, HashedSecretKey, hash, verify};
use key_id::ID_LENGTH;
pub use key_id::{InvalidKeyId, KeyId};
pub use misplaced::without_keys;

const PREFIX: &str = "sk-xy";
/// 62^43 is just above 2^256.
const SECRET_LENGTH: usize = 43;
const TAG_LENGTH: usize = 8;
const ID_START: usize = PREFIX.len();
const TAG_START: usize = ID_START + ID_LENGTH + SECRET_LENGTH;
const KEY_LENGTH: usize = TAG_START + TAG_LENGTH;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A new key in plain text: shown once to whom it was issued, then only its hash is kept. Wiped when dropped.
pub struct PlainSecretKey(SecretString);

impl PlainSecretKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn generate(tag_key: &TagKey) -> Result<(KeyId, Self), getrandom::Error> {
        let id = KeyId::generate()?;
        Ok((id, Self::generate_as(id, tag_key)?))
    }

    /// Makes the secret of a key whose name is known already.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn generate_as(id: KeyId, tag_key: &TagKey) -> Result<Self, getrandom::Error> {
        let mut key = Zeroizing::new([0; KEY_LENGTH]);
        key[..ID_START].copy_from_slice(PREFIX.as_bytes());
        key[ID_START..ID_START + ID_LENGTH].copy_from_slice(&id.0);
        fill_with_base62(&mut key[ID_START + ID_LENGTH..TAG_START])?;
        let tag = tag_key.tag(&key[..TAG_START]);
        key[TAG_START..].copy_from_slice(&tag);
        // With the exact capacity, so that the text is never moved and leaves no copy behind.
        let mut text = String::with_capacity(KEY_LENGTH);
        text.extend(key.iter().copied().map(char::from));
        Ok(Self(text.into()))
    }

    /// The key itself, for the one place that shows it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// A key as a request presents it, with the form and the tag already found right. It borrows the request's text.
#[derive(Clone, Copy)]
pub struct PresentedKey<'a> {
    text: &'a str,
    key_id: KeyId,
}

impl<'a> PresentedKey<'a> {
    /// Checks length, prefix, alphabet and tag (in constant time), without allocating.
    ///
    /// # Errors
    /// When one of them is wrong: such a key was never issued here. The error does not repeat the text.
    pub fn parse(text: &'a str, tag_key: &TagKey) -> Result<Self, InvalidKey> {
        if text.len() != KEY_LENGTH {
            return Err(InvalidKey::Length);
        }
        let rest = text.strip_prefix(PREFIX).ok_or(InvalidKey::Prefix)?.as_bytes();
        if !rest.iter().all(u8::is_ascii_alphanumeric) {
            return Err(InvalidKey::Alphabet);
        }
        let (tagged, tag) = text.as_bytes().split_at(TAG_START);
        if !bool::from(tag_key.tag(tagged).ct_eq(tag)) {
            return Err(InvalidKey::Tag);
        }
        let id = rest.first_chunk::<ID_LENGTH>().ok_or(InvalidKey::Length)?;
        Ok(Self { text, key_id: KeyId(*id) })
    }

    /// Which key this claims to be.
    pub const fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// The whole text with the secret in it.
    pub const fn secret_text(&self) -> &'a str {
        self.text
    }
}

/// Why a text is none of our keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// It is too long or too short.
    #[error("a Secret Key has {KEY_LENGTH} characters; copy it whole, without spaces or quotation marks")]
    Length,
    /// It does not start like a key of this service.
    #[error("a Secret Key of this service starts with {PREFIX}")]
    Prefix,
    /// It has other characters than letters and digits.
    #[error("a Secret Key has only letters and digits after {PREFIX}")]
    Alphabet,
    /// Its last characters do not fit the rest.
    #[error("this Secret Key was not issued here, or a character of it was changed; copy it again")]
    Tag,
}

/// The key of the tags: 32 random bytes, made once for a database and sealed there. Wiped when dropped.
pub struct TagKey(SecretBox<[u8; 32]>);

impl TagKey {
    /// Makes a new one.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn generate() -> Result<Self, getrandom::Error> {
        random_bytes().map(Self)
    }

    /// The key of these bytes, as they were unsealed. `None` when there are not 32.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 32] = bytes.try_into().ok()?;
        Some(Self(SecretBox::init_with_mut(|key: &mut [u8; 32]| key.copy_from_slice(bytes))))
    }

    /// The bytes, to be sealed.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose_secret()
    }

    fn tag(&self, tagged: &[u8]) -> [u8; TAG_LENGTH] {
        let mac = blake3::keyed_hash(self.expose(), tagged);
        let mut number = mac.as_bytes().iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        // 62^8 is so far below 2^64 that the remainders are even enough.
        [0; TAG_LENGTH].map(|_: u8| {
            let digit = BASE62[(number % 62) as usize];
            number /= 62;
            digit
        })
    }
}

fn random_bytes() -> Result<SecretBox<[u8; 32]>, getrandom::Error> {
    let mut bytes = SecretBox::<[u8; 32]>::default();
    getrandom::fill(bytes.expose_secret_mut())?;
    Ok(bytes)
}

/// Fills with digits of base62, each of the 62 as likely as any other.
fn fill_with_base62(digits: &mut [u8]) -> Result<(), getrandom::Error> {
    let mut random = Zeroizing::new([0; 64]);
    let mut filled = 0;
    while filled < digits.len() {
        getrandom::fill(random.as_mut_slice())?;
        // 248 is the largest multiple of 62 in a byte; a byte above it would favour the first digits.
        let even = random.iter().filter(|byte| **byte < 248);
        for (digit, byte) in digits[filled..].iter_mut().zip(even) {
            *digit = BASE62[usize::from(byte % 62)];
            filled += 1;
        }
    }
    Ok(())
}

impl fmt::Debug for PresentedKey<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PresentedKey").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

impl fmt::Debug for PlainSecretKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PlainSecretKey([REDACTED])")
    }
}

impl fmt::Debug for TagKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TagKey([REDACTED])")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn tag_key() -> TagKey {
        TagKey::from_bytes(&[7; 32]).unwrap()
    }

    #[test]
    fn a_new_key_is_accepted_under_its_name() {
        let (id, key) = PlainSecretKey::generate(&tag_key()).unwrap();
        assert_eq!(key.expose().len(), 68);
        assert_eq!(&key.expose()[..17], format!("sk-xy{id}"));

        let presented = PresentedKey::parse(key.expose(), &tag_key()).unwrap();
        assert_eq!(presented.key_id(), id);
        assert_eq!(presented.secret_text(), key.expose());
    }

    /// Keys that were issued must stay valid in every later build, so an example fixes alphabet, order and tag.
    #[test]
    fn the_form_of_issued_keys_stays_as_it_is() {
        let issued = "sk-xy0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrsFd51N1gQ";
        let presented = PresentedKey::parse(issued, &tag_key()).unwrap();
        assert_eq!(presented.key_id().as_str(), "0123456789AB");
    }

    #[test]
    fn a_changed_character_anywhere_is_refused() {
        let (_, key) = PlainSecretKey::generate(&tag_key()).unwrap();
        for position in 0..KEY_LENGTH {
            for other in [b'0', b'z', b'-', b' ', 0x7f] {
                let mut changed = key.expose().as_bytes().to_vec();
                if changed[position] == other {
                    continue;
                }
                changed[position] = other;
                let changed = String::from_utf8(changed).unwrap();
                let error = PresentedKey::parse(&changed, &tag_key()).unwrap_err();
                let expected = match (position, other.is_ascii_alphanumeric()) {
                    (..ID_START, _) => InvalidKey::Prefix,
                    (_, false) => InvalidKey::Alphabet,
                    (_, true) => InvalidKey::Tag,
                };
                assert_eq!(error, expected, "character {position} as {other}");
            }
        }
    }

    #[test]
    fn another_tag_key_refuses() {
        let (_, key) = PlainSecretKey::generate(&tag_key()).unwrap();
        let other = TagKey::generate().unwrap();
        assert_eq!(PresentedKey::parse(key.expose(), &other).unwrap_err(), InvalidKey::Tag);
    }

    #[rstest]
    #[case::empty(String::new(), InvalidKey::Length)]
    #[case::short(format!("sk-xy{}", "a".repeat(62)), InvalidKey::Length)]
    #[case::long(format!("sk-xy{}", "a".repeat(64)), InvalidKey::Length)]
    #[case::other_service(format!("sk-ab{}", "a".repeat(63)), InvalidKey::Prefix)]
    #[case::upper_case_prefix(format!("SK-XY{}", "a".repeat(63)), InvalidKey::Prefix)]
    #[case::made_up(format!("sk-xy{}", "a".repeat(63)), InvalidKey::Tag)]
    #[case::not_ascii_of_the_right_length(format!("sk-xy{}", "é小".repeat(13)).chars().take(31).collect(), InvalidKey::Length)]
    #[case::not_ascii_in_68_bytes(format!("sk-xy{}", "小".repeat(21)), InvalidKey::Alphabet)]
    #[case::not_ascii_across_the_parts(format!("sk-x{}", "é".repeat(32)), InvalidKey::Prefix)]
    fn other_text_is_refused(#[case] text: String, #[case] expected: InvalidKey) {
        assert_eq!(PresentedKey::parse(&text, &tag_key()).unwrap_err(), expected);
    }

    #[test]
    fn every_digit_is_about_as_likely_as_any_other() {
        let mut digits = vec![0; 62 * 1000];
        fill_with_base62(&mut digits).unwrap();
        for digit in BASE62 {
            let times = digits.iter().filter(|other| *other == digit).count();
            // Eight standard deviations: about one false alarm in 10^13 runs.
            assert!((750..1250).contains(&times), "{} came {times} times", char::from(*digit));
        }
    }

    #[test]
    fn a_tag_key_is_32_bytes() {
        let key = TagKey::generate().unwrap();
        assert_eq!(TagKey::from_bytes(key.expose()).unwrap().expose(), key.expose());
        assert!(TagKey::from_bytes(&[0; 31]).is_none());
        assert!(TagKey::from_bytes(&[0; 33]).is_none());
    }

    #[test]
    fn debug_and_errors_show_no_secret() {
        let (id, key) = PlainSecretKey::generate(&tag_key()).unwrap();
        let presented = PresentedKey::parse(key.expose(), &tag_key()).unwrap();
        assert_eq!(format!("{key:?} {:?}", tag_key()), "PlainSecretKey([REDACTED]) TagKey([REDACTED])");
        assert_eq!(format!("{presented:?}"), format!("PresentedKey {{ key_id: KeyId({id}), .. }}"));
    }

    proptest! {
        #[test]
        fn no_made_up_text_is_accepted(text in "(sk-xy)?[0-9A-Za-z]{60,66}|\\PC{0,80}") {
            prop_assert!(PresentedKey::parse(&text, &tag_key()).is_err());
        }
    }
}
