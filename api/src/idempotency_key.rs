//! The header by which a call may be asked for again.

use actix_web::http::header::{HeaderMap, HeaderName};
use shared::idempotency::LONGEST_KEY;
use shared::refusal::{Reason, Refusal};

/// The header of a reply that says that the answer was given before.
pub(crate) const REPLAYED: &str = "idempotent-replayed";

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The key that the caller gave, if any.
///
/// # Errors
/// [`Reason::InvalidParameter`]: it is empty or too long, or there are several. Leaving such a key unheeded would let a client ask
/// again that believes it cannot be charged twice.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<Vec<u8>>, Refusal> {
    let mut given = headers.get_all(&IDEMPOTENCY_KEY);
    let Some(key) = given.next() else { return Ok(None) };
    let refused = |message: String| Err(Refusal::of_field(Reason::InvalidParameter, "Idempotency-Key", message));
    if given.next().is_some() {
        return refused("the header Idempotency-Key must come once".to_owned());
    }
    // Where it is not UTF-8, each byte is a character, as headers once had it.
    let key = key.as_bytes().trim_ascii();
    let length = std::str::from_utf8(key).map_or(key.len(), |key| key.chars().count());
    if (1..=LONGEST_KEY).contains(&length) {
        return Ok(Some(key.to_vec()));
    }
    refused(format!("the header Idempotency-Key must have 1 to {LONGEST_KEY} characters"))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use rstest::rstest;

    use super::*;

    const LENGTH: &str = "the header Idempotency-Key must have 1 to 255 characters";

    #[rstest]
    #[case::none(vec![], Ok(None))]
    #[case::a_key(vec!["9f1c".to_owned()], Ok(Some("9f1c".to_owned())))]
    #[case::white_space_around(vec![" 9f1c ".to_owned()], Ok(Some("9f1c".to_owned())))]
    #[case::characters_not_bytes(vec!["键".repeat(255)], Ok(Some("键".repeat(255))))]
    #[case::empty(vec![String::new()], Err(LENGTH))]
    #[case::too_long(vec!["k".repeat(256)], Err(LENGTH))]
    #[case::twice(vec!["a".to_owned(); 2], Err("the header Idempotency-Key must come once"))]
    fn what_a_caller_gives(#[case] values: Vec<String>, #[case] expected: Result<Option<String>, &str>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let found = idempotency_key(&headers);
        let expected = expected.map(|key| key.map(String::into_bytes));
        assert_eq!(found.map_err(|refusal| refusal.message), expected.map_err(str::to_owned));
    }

    #[test]
    fn a_key_that_is_not_utf_8_is_one_too() {
        let mut headers = HeaderMap::new();
        headers.append(IDEMPOTENCY_KEY, HeaderValue::from_bytes(&[0xe4, 0xff]).unwrap());
        assert_eq!(idempotency_key(&headers).unwrap(), Some(vec![0xe4, 0xff]));
    }
}
