//! Sealing: how a secret that we must be able to read again (a provider's key, the tag key) is kept in the database.
//!
//! XChaCha20-Poly1305 under the master secret of the installation, with the place of the value as associated data: a
//! sealed value that is copied to another table, row or host does not open there.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chacha20poly1305::{AeadInOut, Key, KeyInit, Tag, XChaCha20Poly1305, XNonce};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, ExposeSecretMut, SecretBox, SecretSlice, SecretString};

/// Seals under one master secret, and opens what that one or an older one sealed.
pub struct Sealer {
    primary: MasterSecret,
    older: Vec<MasterSecret>,
}

impl Sealer {
    /// Seals and opens under one secret.
    pub fn new(primary: MasterSecret) -> Self {
        Self { primary, older: Vec::new() }
    }

    /// Reads the setting: one secret, or `new,old` while rotating. The first seals; all of them open.
    ///
    /// # Errors
    /// When there are more than 8 of them, or one is not 32 bytes in base64.
    pub fn from_list(list: &str) -> Result<Self, MasterSecretError> {
        if list.split(',').count() > MAX_SECRETS {
            return Err(MasterSecretError::TooMany);
        }
        let mut secrets = list.split(',').map(MasterSecret::parse);
        let primary = secrets.next().ok_or(MasterSecretError::Empty)??;
        Ok(Self { primary, older: secrets.collect::<Result<_, _>>()? })
    }

    /// Seals `plaintext` for one place: 24 bytes of random nonce, then the ciphertext, then a tag of 16 bytes.
    ///
    /// # Errors
    /// When the operating system gives no random bytes, or the plaintext is over 256 GiB.
    pub fn seal(&self, plaintext: &[u8], context: &SealContext<'_>) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_LENGTH];
        getrandom::fill(&mut nonce)?;

        let mut sealed = Vec::with_capacity(NONCE_LENGTH + plaintext.len() + TAG_LENGTH);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plaintext);
        let (_, body) = sealed.split_at_mut(NONCE_LENGTH);
        let tag = self
            .primary
            .cipher()
            .encrypt_inout_detached(&XNonce::from(nonce), &context.associated_data(), body.into())
            .map_err(|_| SealError::TooLong)?;
        sealed.extend_from_slice(&tag);
        Ok(sealed)
    }

    /// Opens what [`Sealer::seal`] made for the same place, under the primary secret or an older one.
    ///
    /// # Errors
    /// When no secret opens it: the secret is another one, or the value was altered or belongs to another place.
    pub fn open(&self, sealed: &[u8], context: &SealContext<'_>) -> Result<SecretSlice<u8>, SealError> {
        let parts = SealedParts::split(sealed)?;
        std::iter::once(&self.primary)
            .chain(&self.older)
            .find_map(|secret| parts.open_under(secret, context))
            .ok_or(SealError::WrongSecretOrAltered)
    }

    /// Whether the primary secret opens the value, so that a rotation need not seal it again.
    pub fn is_primary(&self, sealed: &[u8], context: &SealContext<'_>) -> bool {
        SealedParts::split(sealed).is_ok_and(|parts| parts.open_under(&self.primary, context).is_some())
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sealer").field("older", &self.older.len()).finish_non_exhaustive()
    }
}

/// The place of a sealed value. It opens only where it was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealContext<'a> {
    /// The table that keeps the value.
    pub table: &'a str,
    /// The row, by the text of its primary key.
    pub row: &'a str,
    /// The host that the secret may be sent to; empty for one that is never sent.
    pub host: &'a str,
}

impl SealContext<'_> {
    /// Each part with its length before it, so that no two places give the same bytes.
    fn associated_data(&self) -> Vec<u8> {
        let parts = [self.table, self.row, self.host];
        let length = parts.iter().map(|part| size_of::<u64>() + part.len()).sum();
        let mut data = Vec::with_capacity(length);
        for part in parts {
            data.extend_from_slice(&(part.len() as u64).to_le_bytes());
            data.extend_from_slice(part.as_bytes());
        }
        data
    }
}

/// The master secret of an installation: 32 random bytes (`XIAOYI_SECRET_KEY`). Its bytes are wiped when dropped.
pub struct MasterSecret(SecretBox<[u8; SECRET_LENGTH]>);

impl MasterSecret {
    /// Reads standard base64 of exactly 32 bytes; white space around it (the newline of a file) is ignored.
    ///
    /// # Errors
    /// When it is anything else. The error never holds the text.
    pub fn parse(text: &str) -> Result<Self, MasterSecretError> {
        let text = text.trim_ascii();
        if text.is_empty() {
            return Err(MasterSecretError::Empty);
        }
        let bytes = Zeroizing::new(BASE64.decode(text).map_err(|_| MasterSecretError::NotBase64)?);
        if bytes.len() != SECRET_LENGTH {
            return Err(MasterSecretError::WrongLength { bytes: bytes.len() });
        }
        Ok(Self(SecretBox::init_with_mut(|secret: &mut [u8; SECRET_LENGTH]| secret.copy_from_slice(&bytes))))
    }

    /// Makes a new one.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn generate() -> Result<Self, MasterSecretError> {
        let mut secret = SecretBox::<[u8; SECRET_LENGTH]>::default();
        getrandom::fill(secret.expose_secret_mut())?;
        Ok(Self(secret))
    }

    /// The text that [`MasterSecret::parse`] reads, for the file that keeps it.
    pub fn to_base64(&self) -> SecretString {
        BASE64.encode(self.0.expose_secret()).into()
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(<&Key>::from(self.0.expose_secret()))
    }
}

impl fmt::Debug for MasterSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MasterSecret([REDACTED])")
    }
}

/// A text that is no master secret. It never holds the text itself.
#[derive(Debug, thiserror::Error)]
pub enum MasterSecretError {
    /// There is nothing, or nothing beside a comma.
    #[error("the secret is empty; it must be 32 bytes in base64 (for example from: openssl rand -base64 32)")]
    Empty,
    /// It is not standard base64 with padding.
    #[error("the secret is not standard base64 of 32 bytes (for example from: openssl rand -base64 32)")]
    NotBase64,
    /// It is base64 of another length.
    #[error("the secret is base64 of {bytes} bytes; it must be 32 bytes (for example from: openssl rand -base64 32)")]
    WrongLength {
        /// How many bytes it is.
        bytes: usize,
    },
    /// The list is too long.
    #[error("at most {MAX_SECRETS} secrets can be given, the new one first")]
    TooMany,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: {0}")]
    Randomness(#[from] getrandom::Error),
}

/// A value that could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// No secret opens the value.
    #[error("the value was sealed under another secret, or it was altered or moved; check XIAOYI_SECRET_KEY")]
    WrongSecretOrAltered,
    /// The value is shorter than any that was ever sealed.
    #[error("a sealed value has at least {MIN_SEALED_LENGTH} bytes, this one has {bytes}; it was cut off")]
    TooShort {
        /// How many bytes it has.
        bytes: usize,
    },
    /// The plaintext is longer than the cipher takes.
    #[error("the value is too long to be sealed")]
    TooLong,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: {0}")]
    Randomness(#[from] getrandom::Error),
}

const SECRET_LENGTH: usize = 32;
const NONCE_LENGTH: usize = 24;
const TAG_LENGTH: usize = 16;
const MIN_SEALED_LENGTH: usize = NONCE_LENGTH + TAG_LENGTH;
/// A rotation needs two; a few more do no harm, but each is tried on every value.
const MAX_SECRETS: usize = 8;

struct SealedParts<'a> {
    nonce: &'a [u8; NONCE_LENGTH],
    body: &'a [u8],
    tag: &'a [u8; TAG_LENGTH],
}

impl<'a> SealedParts<'a> {
    fn split(sealed: &'a [u8]) -> Result<Self, SealError> {
        sealed
            .split_first_chunk()
            .and_then(|(nonce, rest)| rest.split_last_chunk().map(|(body, tag)| Self { nonce, body, tag }))
            .ok_or(SealError::TooShort { bytes: sealed.len() })
    }

    fn open_under(&self, secret: &MasterSecret, context: &SealContext<'_>) -> Option<SecretSlice<u8>> {
        // Decrypted in its final place, so that no other copy of the plaintext is left in memory.
        let mut plaintext = SecretSlice::from(self.body.to_vec());
        secret
            .cipher()
            .decrypt_inout_detached(
                <&XNonce>::from(self.nonce),
                &context.associated_data(),
                plaintext.expose_secret_mut().into(),
                <&Tag>::from(self.tag),
            )
            .ok()?;
        Some(plaintext)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const HERE: SealContext<'static> = SealContext { table: "channels", row: "7", host: "api.example.com" };

    fn sealer() -> Sealer {
        Sealer::new(MasterSecret::generate().unwrap())
    }

    #[rstest]
    #[case(b"")]
    #[case(b"sk-provider-key")]
    #[case(&[0x5a; 5000])]
    fn round_trip(#[case] plaintext: &[u8]) {
        let sealer = sealer();
        let sealed = sealer.seal(plaintext, &HERE).unwrap();
        assert_eq!(sealed.len(), MIN_SEALED_LENGTH + plaintext.len());
        assert_eq!(sealer.open(&sealed, &HERE).unwrap().expose_secret(), plaintext);
    }

    #[test]
    fn the_same_value_never_seals_to_the_same_bytes() {
        let sealer = sealer();
        assert_ne!(sealer.seal(b"value", &HERE).unwrap(), sealer.seal(b"value", &HERE).unwrap());
    }

    /// The example A.3.1 of draft-irtf-cfrg-xchacha-03, so that no change of a library makes sealed values unreadable.
    #[test]
    fn the_ciphertext_is_the_published_one() {
        let secret: Vec<u8> = (0x80..=0x9f).collect();
        let nonce: Vec<u8> = (0x40..=0x57).collect();
        let plaintext = b"Ladies and Gentlemen of the class of '99";
        let expected = [0xbd, 0x6d, 0x17, 0x9d, 0x3e, 0x83, 0xd4, 0x3b, 0x95, 0x76, 0x57, 0x94, 0x93, 0xc0, 0xe9, 0x39];

        let secret = MasterSecret::parse(&BASE64.encode(secret)).unwrap();
        let mut body = plaintext.to_vec();
        let nonce = XNonce::try_from(nonce.as_slice()).unwrap();
        secret.cipher().encrypt_inout_detached(&nonce, b"", body.as_mut_slice().into()).unwrap();
        assert_eq!(body[..16], expected);
    }

    #[test]
    fn an_altered_byte_anywhere_is_noticed() {
        let sealer = sealer();
        let sealed = sealer.seal(b"value", &HERE).unwrap();
        for position in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[position] ^= 1;
            assert!(matches!(sealer.open(&altered, &HERE), Err(SealError::WrongSecretOrAltered)), "byte {position}");
        }
        assert!(sealer.open(&sealed[..sealed.len() - 1], &HERE).is_err());
    }

    #[rstest]
    #[case(SealContext { table: "settings", ..HERE })]
    #[case(SealContext { row: "8", ..HERE })]
    #[case(SealContext { host: "evil.example.com", ..HERE })]
    #[case::parts_moved(SealContext { table: "channels7", row: "", ..HERE })]
    fn another_place_does_not_open(#[case] elsewhere: SealContext<'_>) {
        let sealer = sealer();
        let sealed = sealer.seal(b"value", &HERE).unwrap();
        assert!(matches!(sealer.open(&sealed, &elsewhere), Err(SealError::WrongSecretOrAltered)));
        assert!(!sealer.is_primary(&sealed, &elsewhere));
    }

    #[test]
    fn a_cut_off_value_is_too_short() {
        let opened = sealer().open(&[0; MIN_SEALED_LENGTH - 1], &HERE);
        assert!(matches!(opened, Err(SealError::TooShort { bytes: 39 })));
    }

    #[test]
    fn rotation_opens_the_old_and_seals_the_new() {
        let text = || MasterSecret::generate().unwrap().to_base64().expose_secret().to_owned();
        let (new, old) = (text(), text());
        let before = Sealer::from_list(&old).unwrap();
        let during = Sealer::from_list(&format!("{new}, {old}\n")).unwrap();
        let after = Sealer::from_list(&new).unwrap();

        let sealed = before.seal(b"value", &HERE).unwrap();
        assert!(before.is_primary(&sealed, &HERE));
        assert!(!during.is_primary(&sealed, &HERE));
        assert!(after.open(&sealed, &HERE).is_err());

        let plaintext = during.open(&sealed, &HERE).unwrap();
        let resealed = during.seal(plaintext.expose_secret(), &HERE).unwrap();
        assert!(during.is_primary(&resealed, &HERE));
        assert_eq!(after.open(&resealed, &HERE).unwrap().expose_secret(), b"value");
        assert!(before.open(&resealed, &HERE).is_err());
    }

    #[rstest]
    #[case::empty("", "is empty")]
    #[case::empty_after_the_comma("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,", "is empty")]
    #[case::not_base64("p@ssword-p@ssword-p@ssword-p@ssword-", "not standard base64")]
    #[case::without_padding("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "not standard base64")]
    #[case::short("AAAA", "base64 of 3 bytes")]
    #[case::long("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "base64 of 33 bytes")]
    #[case::many("a,b,c,d,e,f,g,h,i", "at most 8")]
    fn other_settings_are_refused_without_repeating_them(#[case] list: &str, #[case] expected: &str) {
        let error = Sealer::from_list(list).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(list.len() < 4 || !format!("{error:?} {error}").contains(list));
    }

    #[test]
    fn debug_shows_no_secret() {
        let secret = MasterSecret::parse("QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=").unwrap();
        assert_eq!(format!("{secret:?}"), "MasterSecret([REDACTED])");
        assert_eq!(format!("{:?}", Sealer::new(secret)), "Sealer { older: 0, .. }");
    }
}
