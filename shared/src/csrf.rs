//! The token of a form: only a page of the same session can know it, so a page of another site cannot send the form.

use subtle::ConstantTimeEq;

const CONTEXT: &str = "xiaoyi 2026-11-27 token of the forms of a session";

/// The token for the forms of the session with this (secret) token. It says nothing about that.
pub fn token(session: &str) -> String {
    let key = blake3::derive_key(CONTEXT, session.as_bytes());
    blake3::Hash::from_bytes(key).to_hex().as_str().to_owned()
}

/// Whether `given` is the token for the forms of this session, compared in constant time.
pub fn is_right(session: &str, given: &str) -> bool {
    token(session).as_bytes().ct_eq(given.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn belongs_to_one_session() {
        let own = token("one");
        assert_eq!(own.len(), 64);
        assert!(is_right("one", &own));
        for wrong in ["", "0", &own[1..], &token("two")] {
            assert!(!is_right("one", wrong), "{wrong}");
        }
    }
}
