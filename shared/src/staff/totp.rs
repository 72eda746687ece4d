//! Codes of an authenticator (TOTP, RFC 6238): six digits, another every 30 s, made of a secret that both sides keep.
//!
//! A code is taken up to one step early or late, for clocks that differ, and once: what was used, and what came before it, is over.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret, ExposeSecretMut, SecretBox, SecretString};
use sha1::Sha1;
use subtle::ConstantTimeEq as _;
use url::form_urlencoded::byte_serialize;

use super::base32;
use crate::clock::Timestamp;

/// As long as the hash, as RFC 4226 recommends.
const SECRET_LENGTH: usize = 20;
const STEP_MS: i64 = 30_000;
/// How many steps early or late a code is taken.
const WINDOW: i64 = 1;
const ISSUER: &str = "xiaoyi";

/// What the codes are made of. Wiped when dropped.
pub(super) struct TotpSecret(SecretBox<[u8; SECRET_LENGTH]>);

impl TotpSecret {
    /// Makes a new one.
    pub(super) fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = SecretBox::<[u8; SECRET_LENGTH]>::default();
        getrandom::fill(bytes.expose_secret_mut())?;
        Ok(Self(bytes))
    }

    /// The secret of these bytes, as they were unsealed. `None` when there are not 20.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; SECRET_LENGTH] = bytes.try_into().ok()?;
        Some(Self(SecretBox::init_with_mut(|secret: &mut [u8; SECRET_LENGTH]| secret.copy_from_slice(bytes))))
    }

    /// The bytes, to be sealed.
    pub(super) fn expose(&self) -> &[u8; SECRET_LENGTH] {
        self.0.expose_secret()
    }

    /// The step of which `typed` is the code, if it may be used at `now`: a step later than `used`.
    pub(super) fn step_of(&self, typed: &str, used: Option<i64>, now: Timestamp) -> Option<i64> {
        let present = now.0.div_euclid(STEP_MS);
        let steps = present.saturating_sub(WINDOW)..=present.saturating_add(WINDOW);
        // All of them are compared, so that the time does not tell which one it was.
        let right = steps.filter(|step| bool::from(self.code(*step).as_bytes().ct_eq(typed.as_bytes())));
        right.filter(|step| used.is_none_or(|used| *step > used)).fold(None, |_, step| Some(step))
    }

    /// The six digits of a step.
    fn code(&self, step: i64) -> String {
        let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(self.expose()) else { return String::new() };
        mac.update(&step.to_be_bytes());
        let digest = mac.finalize().into_bytes();
        // RFC 4226, 5.3: the last four bits say where the 31 bits are.
        let offset = usize::from(digest.last().map_or(0, |byte| byte & 15));
        let bits =
            digest.iter().skip(offset).take(4).fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) & 0x7fff_ffff;
        format!("{:06}", bits % 1_000_000)
    }
}

impl fmt::Debug for TotpSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TotpSecret([REDACTED])")
    }
}

/// What a person puts into an authenticator, in both forms that these take. Shown until a code of it was entered.
#[derive(Debug)]
pub struct TotpSetup {
    /// An `otpauth://` address, for a link or a QR code.
    pub uri: SecretString,
    /// The secret in base32, to be typed: 32 letters and digits.
    pub secret: SecretString,
}

impl TotpSetup {
    pub(super) fn of(secret: &TotpSecret, email: &str) -> Self {
        let text = base32::encode(secret.expose());
        let label: String = byte_serialize(email.as_bytes()).collect();
        let uri = format!(
            "otpauth://totp/{ISSUER}:{label}?secret={text}&issuer={ISSUER}&algorithm=SHA1&digits=6&period={}",
            STEP_MS / 1000
        );
        Self { uri: uri.into(), secret: text.into() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn secret() -> TotpSecret {
        TotpSecret::from_bytes(b"12345678901234567890").unwrap()
    }

    const fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1000)
    }

    /// From RFC 6238, appendix B, the last six of the eight digits.
    #[rstest]
    #[case(59, "287082")]
    #[case(1_111_111_109, "081804")]
    #[case(1_111_111_111, "050471")]
    #[case(1_234_567_890, "005924")]
    #[case(2_000_000_000, "279037")]
    #[case(20_000_000_000, "353130")]
    fn published_codes(#[case] seconds: i64, #[case] code: &str) {
        assert_eq!(secret().code(seconds / 30), code);
        assert_eq!(secret().step_of(code, None, at(seconds)), Some(seconds / 30));
    }

    #[rstest]
    #[case::two_early(-60, false)]
    #[case::one_early(-30, true)]
    #[case::now(0, true)]
    #[case::one_late(30, true)]
    #[case::two_late(60, false)]
    fn a_code_is_taken_one_step_early_or_late(#[case] late_s: i64, #[case] expected: bool) {
        let code = secret().code(37_037_037);
        let seconds = 37_037_037 * 30;
        assert_eq!(secret().step_of(&code, None, at(seconds + late_s)).is_some(), expected);
        assert_eq!(secret().step_of(&code, None, Timestamp((seconds + late_s) * 1000 + 29_999)).is_some(), expected);
    }

    #[test]
    fn what_was_used_is_over_and_what_came_before_it() {
        let secret = secret();
        let now = at(1_000 * 30);
        let [before, present, after] = [999, 1_000, 1_001].map(|step| secret.code(step));
        assert_eq!(secret.step_of(&present, Some(999), now), Some(1_000));
        assert_eq!(secret.step_of(&present, Some(1_000), now), None);
        assert_eq!(secret.step_of(&before, Some(1_000), now), None);
        assert_eq!(secret.step_of(&after, Some(1_000), now), Some(1_001));
    }

    #[rstest]
    #[case("")]
    #[case("28708")]
    #[case("2870820")]
    #[case("94287082")]
    #[case("２８７０８２")]
    fn other_texts_are_no_code(#[case] typed: &str) {
        assert_eq!(secret().step_of(typed, None, at(59)), None);
    }

    #[test]
    fn what_an_authenticator_is_told() {
        let setup = TotpSetup::of(&secret(), "ann+x@example.com");
        assert_eq!(
            setup.uri.expose_secret(),
            "otpauth://totp/xiaoyi:ann%2Bx%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=xiaoyi&algorithm=SHA1&digits=6&period=30"
        );
        assert_eq!(setup.secret.expose_secret(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let shown = format!("{setup:?} {:?}", secret());
        assert!(!shown.contains("GEZD"), "{shown}");
    }

    proptest! {
        #[test]
        fn every_code_is_six_digits(bytes: [u8; SECRET_LENGTH], step: i64) {
            let code = TotpSecret::from_bytes(&bytes).unwrap().code(step);
            prop_assert!(code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()), "{}", code);
        }
    }
}
