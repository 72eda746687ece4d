//! Base32 (RFC 4648): what people can read out and type, and what authenticators expect.

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Eight letters and digits for every five bytes. Bytes that are left over at the end would need padding; there are none here.
pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for group in bytes.chunks(5) {
        let bits = group.iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
        for place in (0..8).rev() {
            let index = usize::try_from(bits >> (5 * place) & 31).unwrap_or(0);
            text.push(char::from(ALPHABET[index]));
        }
    }
    text
}

/// Whether the character is one of base32's, in capitals.
pub(super) fn is_digit(character: char) -> bool {
    matches!(character, 'A'..='Z' | '2'..='7')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From RFC 4648, section 10.
    #[test]
    fn published_examples() {
        assert_eq!(encode(b""), "");
        assert_eq!(encode(b"fooba"), "MZXW6YTB");
        assert_eq!(encode(b"12345678901234567890"), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert!(encode(&[0xff; 5]).chars().all(is_digit));
    }
}
