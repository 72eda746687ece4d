//! The app on a person's phone that shows codes (TOTP), by this file's own reading of RFC 4226, RFC 4648 and RFC 6238.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

/// For how long a code is shown, in milliseconds.
pub const CODE_LASTS_MS: i64 = 30_000;

/// The digits of base32, each for five bits.
const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The six digits that an authenticator shows at a moment, in milliseconds since 1970, for a secret in base32 as it is typed: spaces do not
/// count.
pub fn authenticator_code(secret: &str, at_ms: i64) -> String {
    let values = secret.chars().filter_map(|digit| DIGITS.find(digit));
    let bits: Vec<bool> = values.flat_map(|value| (0..5).rev().map(move |place| value >> place & 1 == 1)).collect();
    let bytes = bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | u8::from(*bit)));
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(&bytes.collect::<Vec<u8>>()) else { return String::new() };
    mac.update(&at_ms.div_euclid(CODE_LASTS_MS).to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let offset = digest.last().map_or(0, |byte| usize::from(byte & 15));
    let number = digest.iter().skip(offset).take(4).fold(0, |number: u32, byte| number << 8 | u32::from(*byte));
    format!("{:06}", (number & 0x7fff_ffff) % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret of RFC 6238, appendix B, and the last six of its eight digits.
    #[test]
    fn published_codes() {
        let secret = "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ";
        for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            assert_eq!(authenticator_code(secret, seconds * 1000), code);
        }
    }
}
