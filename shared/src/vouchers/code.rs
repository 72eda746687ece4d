//! The form of a redeem code: 128 random bits and 12 bits that tell a slip of the pen, in Crockford's base32, as seven groups of four.
//!
//! `7K3M-Q9ZT-...` has no letters that are taken for others (O is read as 0, I and L as 1), and may be typed in small letters, in full-width
//! ones, and with or without dashes and spaces. The 12 bits stand where Crockford's own check symbol would, which may be `*~$=U`; they let a
//! mistyped code be told from one that is not known, without a look at the database.
//!
//! Kept is a plain BLAKE3 hash. A slow hash makes guessing dear, but 128 random bits cannot be guessed at any speed, so a fast one is as good,
//! and a code can be found by it.

use std::fmt;

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, ExposeSecretMut, SecretBox, SecretString};

/// Crockford's base32: the digits, and the letters without I, L, O and U.
const BASE32: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Bytes of the secret.
const SECRET: usize = 16;
/// Characters of a code, of 5 bits each.
const LENGTH: usize = 28;
/// Characters of a group.
const GROUP: usize = 4;
/// Bytes that hold all characters: the secret, the check, and 4 bits that are zero.
const PACKED: usize = 18;

const STORED: &str = "xiaoyi 2026-11 redeem code, as it is stored";
const CHECK: &str = "xiaoyi 2026-11 redeem code, its check";

/// A code in plain: shown once to whom made it, typed once by whom redeems it. Wiped when dropped.
pub struct Code(SecretBox<[u8; SECRET]>);

/// A text that is no code of this service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotACode {
    /// It has more or fewer characters.
    #[error("a code has {LENGTH} letters and digits")]
    Length,
    /// It has other characters.
    #[error("a code has only letters (none of them a U) and digits, apart from dashes and spaces")]
    Alphabet,
    /// A character was mistyped, or it was not made here.
    #[error("this is not a code of this service: a character is wrong, or two have changed places")]
    Check,
}

/// Makes so many new codes.
///
/// # Errors
/// When the operating system gives no random bytes.
pub fn generate(count: usize) -> Result<Vec<Code>, getrandom::Error> {
    let new = || {
        let mut bytes = SecretBox::<[u8; SECRET]>::default();
        getrandom::fill(bytes.expose_secret_mut())?;
        Ok(Code(bytes))
    };
    std::iter::repeat_with(new).take(count).collect()
}

impl Code {
    /// Reads a code as a person typed it.
    ///
    /// # Errors
    /// [`NotACode`]; it does not repeat the text.
    pub fn parse(text: &str) -> Result<Self, NotACode> {
        let mut packed = Zeroizing::new([0; PACKED]);
        let mut length = 0;
        for character in text.chars().filter(|character| !is_ignored(*character)) {
            let digit = digit(character).ok_or(NotACode::Alphabet)?;
            if length == LENGTH {
                return Err(NotACode::Length);
            }
            put(&mut packed, length, digit);
            length += 1;
        }
        if length != LENGTH {
            return Err(NotACode::Length);
        }
        let mut bytes = SecretBox::<[u8; SECRET]>::default();
        bytes.expose_secret_mut().copy_from_slice(&packed[..SECRET]);
        let code = Self(bytes);
        if code.packed() == packed { Ok(code) } else { Err(NotACode::Check) }
    }

    /// The code itself, in its groups, for the one place that shows it.
    pub fn expose(&self) -> SecretString {
        let packed = self.packed();
        // With the exact capacity, so that the text is never moved and leaves no copy behind.
        let mut text = String::with_capacity(LENGTH + LENGTH / GROUP);
        for place in 0..LENGTH {
            if place > 0 && place % GROUP == 0 {
                text.push('-');
            }
            text.push(character_at(&packed, place));
        }
        text.into()
    }

    /// Its last four characters, to tell codes apart.
    pub(super) fn last_four(&self) -> String {
        let packed = self.packed();
        (LENGTH - GROUP..LENGTH).map(|place| character_at(&packed, place)).collect()
    }

    /// What is kept of it, and what it is found by.
    pub(super) fn hash(&self) -> [u8; 32] {
        blake3::derive_key(STORED, self.0.expose_secret())
    }

    /// The secret with its check behind it.
    fn packed(&self) -> Zeroizing<[u8; PACKED]> {
        let mut packed = Zeroizing::new([0; PACKED]);
        packed[..SECRET].copy_from_slice(self.0.expose_secret());
        let check = blake3::derive_key(CHECK, self.0.expose_secret());
        packed[SECRET] = check[0];
        packed[SECRET + 1] = check[1] & 0xf0;
        packed
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Code([REDACTED])")
    }
}

/// Spaces and dashes of all kinds: texts are made pretty on their way.
fn is_ignored(character: char) -> bool {
    character.is_whitespace() || matches!(character, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{ff0d}')
}

fn digit(character: char) -> Option<u8> {
    // Full-width letters and digits, as Chinese input methods give them.
    let character = match u32::from(character) {
        code @ 0xff01..=0xff5e => char::from_u32(code - 0xfee0)?,
        _ => character,
    };
    let read = match character.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    BASE32.iter().position(|known| char::from(*known) == read).and_then(|digit| u8::try_from(digit).ok())
}

/// Where the five bits of a character are: the first of two bytes, and how far from their end.
const fn bits_of(place: usize) -> (usize, usize) {
    let first = place * 5;
    (first / 8, 16 - 5 - first % 8)
}

fn character_at(packed: &[u8; PACKED], place: usize) -> char {
    let (byte, shift) = bits_of(place);
    let both = u16::from_be_bytes([packed[byte], packed[byte + 1]]);
    char::from(BASE32[usize::from(both >> shift) & 31])
}

fn put(packed: &mut [u8; PACKED], place: usize, digit: u8) {
    let (byte, shift) = bits_of(place);
    let [high, low] = (u16::from(digit) << shift).to_be_bytes();
    packed[byte] |= high;
    packed[byte + 1] |= low;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn code(bytes: [u8; SECRET]) -> Code {
        Code(SecretBox::new(Box::new(bytes)))
    }

    fn shown(code: &Code) -> String {
        code.expose().expose_secret().to_owned()
    }

    /// Codes that are in people's hands must stay valid: this one pins alphabet, order, check and hash.
    #[test]
    fn the_form_of_codes_stays_as_it_is() {
        let code = code(*b"0123456789abcdef");
        assert_eq!(shown(&code), PINNED);
        assert_eq!(code.last_four(), PINNED[PINNED.len() - 4..]);
        assert_eq!(Code::parse(PINNED).unwrap().hash(), code.hash());
        let hex: String = code.hash()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, PINNED_HASH);
    }

    const PINNED: &str = "60RK-4CSM-6MV3-EE1S-C5H6-6S35-CSEA";
    const PINNED_HASH: &str = "329c0b6c1d6ddc54";

    #[rstest]
    #[case::as_shown(|text| text)]
    #[case::small(|text: String| text.to_lowercase())]
    #[case::without_dashes(|text: String| text.replace('-', ""))]
    #[case::with_spaces(|text: String| format!("  {}\n", text.replace('-', " ")))]
    #[case::with_long_dashes(|text: String| text.replace('-', "\u{2014}"))]
    #[case::ones_and_noughts_as_letters(|text: String| text.replace('0', "O").replace('1', "l"))]
    #[case::noughts_as_small_letters(|text: String| text.replace('0', "o").replace('1', "I"))]
    #[case::full_width(|text: String| text.chars().map(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap()).collect())]
    fn a_code_may_be_typed_in_many_ways(#[case] typed: fn(String) -> String) {
        for number in 0..100 {
            let code = code([number; SECRET]);
            assert_eq!(Code::parse(&typed(shown(&code))).unwrap().hash(), code.hash());
        }
    }

    #[rstest]
    #[case::empty("", NotACode::Length)]
    #[case::only_dashes("----", NotACode::Length)]
    #[case::short("60RK-4CSM-6MV3-EE1S-C5H6-6S35-CSE", NotACode::Length)]
    #[case::long(&"0".repeat(29), NotACode::Length)]
    #[case::endless(&"0".repeat(100_000), NotACode::Length)]
    #[case::a_u("U0RK-4CSM-6MV3-EE1S-C5H6-6S35-CSEA", NotACode::Alphabet)]
    #[case::hanzi("小易", NotACode::Alphabet)]
    #[case::a_secret_key("sk-xy0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrsFd51N1gQ", NotACode::Length)]
    #[case::made_up(&"0".repeat(28), NotACode::Check)]
    fn other_text_is_refused(#[case] text: &str, #[case] expected: NotACode) {
        assert_eq!(Code::parse(text).unwrap_err(), expected);
    }

    #[test]
    fn codes_differ_and_show_nothing() {
        let codes = generate(1_000).unwrap();
        let hashes: std::collections::HashSet<_> = codes.iter().map(Code::hash).collect();
        assert_eq!(hashes.len(), 1_000);
        assert_eq!(format!("{:?}", codes[0]), "Code([REDACTED])");
        assert_eq!(shown(&codes[0]).len(), 34);
    }

    proptest! {
        #[test]
        fn what_is_shown_can_be_read(bytes: [u8; SECRET]) {
            let code = code(bytes);
            let read = Code::parse(&shown(&code)).unwrap();
            prop_assert_eq!(read.0.expose_secret(), &bytes);
        }

        /// One in 4096 is not noticed; this many tries of one code would find another code, not this one.
        #[test]
        fn a_slip_is_never_taken_for_the_code(bytes: [u8; SECRET], place in 0..LENGTH, other in 0..32_usize) {
            let code = code(bytes);
            let mut text: Vec<char> = shown(&code).replace('-', "").chars().collect();
            let slip = char::from(BASE32[other]);
            prop_assume!(text[place] != slip);
            text[place] = slip;
            let read = Code::parse(&text.iter().collect::<String>());
            prop_assert!(read.is_err_and(|error| error == NotACode::Check) || place < 26);
        }
    }
}
