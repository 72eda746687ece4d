//! Recovery codes: what replaces an authenticator that is lost. Ten, each for one time, shown when they are made.

use std::fmt;

use diesel::prelude::*;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

use super::base32;
use crate::db::schema::staff_recovery_codes::dsl;
use crate::db::{Connection, DbError};
use crate::id::StaffId;

/// How many a person gets.
const CODES: usize = 10;
/// 80 random bits: nobody guesses them, also not from their hash, so that needs no salt and no slowness.
const RANDOM_BYTES: usize = 10;
/// The characters of a code without its hyphens.
const LENGTH: usize = 16;

/// A recovery code in plain, for the one page that shows it.
pub struct RecoveryCode(SecretString);

impl RecoveryCode {
    /// Four groups of four letters and digits.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new([0; RANDOM_BYTES]);
        getrandom::fill(bytes.as_mut())?;
        let text = Zeroizing::new(base32::encode(bytes.as_ref()).to_lowercase());
        let mut code = String::with_capacity(LENGTH + 3);
        for (place, character) in text.chars().enumerate() {
            if place > 0 && place % 4 == 0 {
                code.push('-');
            }
            code.push(character);
        }
        Ok(Self(code.into()))
    }
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RecoveryCode([REDACTED])")
    }
}

/// Ten new codes.
pub(super) fn generate() -> Result<Vec<RecoveryCode>, getrandom::Error> {
    (0..CODES).map(|_| RecoveryCode::generate()).collect()
}

/// What is kept of what a person typed, in capitals or not, with or without hyphens and spaces. `None` when it has not the form of a code.
fn hash_of(typed: &str) -> Option<[u8; 32]> {
    let kept = |character: &char| !matches!(character, '-' | ' ');
    let text: Zeroizing<String> =
        Zeroizing::new(typed.trim().chars().filter(kept).collect::<String>().to_ascii_uppercase());
    let is_code = text.len() == LENGTH && text.chars().all(base32::is_digit);
    is_code.then(|| *blake3::hash(text.as_bytes()).as_bytes())
}

/// Keeps new codes instead of those before. Call it in a write transaction.
pub(super) fn replace(connection: &mut Connection, staff: StaffId, codes: &[RecoveryCode]) -> Result<(), DbError> {
    remove(connection, staff)?;
    for hash in codes.iter().filter_map(|code| hash_of(code.expose())) {
        diesel::insert_into(dsl::staff_recovery_codes)
            .values((dsl::staff.eq(staff.0), dsl::hash.eq(hash.as_slice())))
            .execute(connection)?;
    }
    Ok(())
}

/// Removes all codes of a person. Call it in a write transaction.
pub(super) fn remove(connection: &mut Connection, staff: StaffId) -> Result<(), DbError> {
    diesel::delete(dsl::staff_recovery_codes.filter(dsl::staff.eq(staff.0))).execute(connection)?;
    Ok(())
}

/// Uses a code up: whether it was one that was not used before. Call it in a write transaction.
pub(super) fn use_up(connection: &mut Connection, staff: StaffId, typed: &str) -> Result<bool, DbError> {
    let Some(hash) = hash_of(typed) else { return Ok(false) };
    let code = dsl::staff_recovery_codes.filter(dsl::staff.eq(staff.0).and(dsl::hash.eq(hash.as_slice())));
    Ok(diesel::delete(code).execute(connection)? == 1)
}

/// How many codes a person has left.
///
/// # Errors
/// [`DbError`].
pub fn left(connection: &mut Connection, staff: StaffId) -> Result<i64, DbError> {
    Ok(dsl::staff_recovery_codes.filter(dsl::staff.eq(staff.0)).count().get_result(connection)?)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rstest::rstest;

    use super::*;

    #[test]
    fn ten_codes_of_four_groups() {
        let codes = generate().unwrap();
        let texts: HashSet<&str> = codes.iter().map(RecoveryCode::expose).collect();
        assert_eq!(texts.len(), 10);
        for text in texts {
            let groups: Vec<&str> = text.split('-').collect();
            assert!(groups.len() == 4 && groups.iter().all(|group| group.len() == 4), "{text}");
            assert!(hash_of(text).is_some(), "{text}");
        }
        assert_eq!(format!("{:?}", codes[0]), "RecoveryCode([REDACTED])");
    }

    #[rstest]
    #[case("abcd-efgh-2345-67ab", true)]
    #[case("ABCDEFGH234567AB", true)]
    #[case(" abcd efgh 2345 67AB\n", true)]
    #[case("abcd-efgh-2345-67aa", false)]
    fn it_is_the_same_however_it_is_typed(#[case] typed: &str, #[case] same: bool) {
        assert_eq!(hash_of(typed) == hash_of("abcd-efgh-2345-67ab"), same);
    }

    #[rstest]
    #[case("")]
    #[case("123456")]
    #[case("abcd-efgh-2345-67a")]
    #[case("abcd-efgh-2345-67abc")]
    #[case("abcd-efgh-2345-67a1")]
    #[case("abcd-efgh-2345-67aé")]
    fn other_texts_are_no_code(#[case] typed: &str) {
        assert_eq!(hash_of(typed), None);
    }
}
