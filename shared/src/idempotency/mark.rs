//! What a repeated call is known by: its key, and what it asks for.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::queue::Endpoint;

/// The longest key, in characters.
pub const LONGEST_KEY: usize = 255;

/// The hashes (BLAKE3) of an Idempotency-Key with its endpoint, and of the request. Keys are a client's own words, so they are not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    key: [u8; 32],
    body: [u8; 32],
}

impl Mark {
    /// Of a call of `endpoint` with this key. `members` are those of the request's object, without a Secret Key: their order, and what
    /// white space and escapes its JSON has, make no difference.
    pub fn new<'a>(endpoint: Endpoint, key: &[u8], members: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut hash = blake3::Hasher::new();
        part(&mut hash, b'e', endpoint.name().as_bytes());
        part(&mut hash, b'k', key);
        Self { key: *hash.finalize().as_bytes(), body: hash_of(members) }
    }

    /// What the key is found by, within its tenant.
    pub const fn key(&self) -> &[u8; 32] {
        &self.key
    }

    /// What the request is compared by.
    pub const fn body(&self) -> &[u8; 32] {
        &self.body
    }
}

fn hash_of<'a>(members: impl Iterator<Item = (&'a str, &'a str)>) -> [u8; 32] {
    let mut members: Vec<_> = members.collect();
    members.sort_unstable_by_key(|(name, _)| *name);
    let mut hash = blake3::Hasher::new();
    for (name, json) in members {
        part(&mut hash, b'n', name.as_bytes());
        match serde_json::from_str(json) {
            Ok(value) => add(&mut hash, &value),
            // A number beyond every computer's: it is compared as it is written.
            Err(_) => part(&mut hash, b'r', json.as_bytes()),
        }
    }
    *hash.finalize().as_bytes()
}

/// Adds a value so that no two values give the same bytes: a letter for its kind, its length, and what it holds.
fn add(hash: &mut blake3::Hasher, value: &Value) {
    match value {
        Value::Null => part(hash, b'0', b""),
        Value::Bool(is_true) => part(hash, b'b', &[u8::from(*is_true)]),
        Value::Number(number) => part(hash, b'd', number.to_string().as_bytes()),
        Value::String(text) => part(hash, b's', text.as_bytes()),
        Value::Array(values) => {
            part(hash, b'a', &(values.len() as u64).to_le_bytes());
            values.iter().for_each(|value| add(hash, value));
        }
        Value::Object(object) => {
            part(hash, b'o', &(object.len() as u64).to_le_bytes());
            let mut members: Vec<_> = object.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            for (name, value) in members {
                part(hash, b'n', name.as_bytes());
                add(hash, value);
            }
        }
    }
}

fn part(hash: &mut blake3::Hasher, kind: u8, bytes: &[u8]) {
    hash.update(&[kind]).update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn mark(endpoint: Endpoint, key: &str, members: &[(&str, &str)]) -> Mark {
        Mark::new(endpoint, key.as_bytes(), members.iter().copied())
    }

    fn body(members: &[(&str, &str)]) -> [u8; 32] {
        *mark(Endpoint::Chat, "k", members).body()
    }

    #[rstest]
    #[case::order(&[("a", "1"), ("b", "2")], &[("b", "2"), ("a", "1")])]
    #[case::order_within(&[("a", r#"{"x":1,"y":[{"p":1,"q":2}]}"#)], &[("a", r#"{"y":[{"q":2,"p":1}],"x":1}"#)])]
    #[case::white_space(&[("a", "[1, 2]")], &[("a", "[1,2]")])]
    #[case::escapes(&[("a", r#""\u0041\/""#)], &[("a", r#""A/""#)])]
    #[case::beyond_numbers(&[("a", "1e999")], &[("a", "1e999")])]
    fn the_same_request(#[case] one: &[(&str, &str)], #[case] other: &[(&str, &str)]) {
        assert_eq!(body(one), body(other));
    }

    #[rstest]
    #[case::value(&[("a", "1")], &[("a", "2")])]
    #[case::kind(&[("a", "1")], &[("a", r#""1""#)])]
    #[case::nothing(&[("a", "null")], &[])]
    #[case::empty(&[("a", "[]")], &[("a", "{}")])]
    #[case::nesting(&[("a", "[[1],2]")], &[("a", "[[1,2]]")])]
    #[case::parts(&[("ab", r#""c""#)], &[("a", r#""bc""#)])]
    #[case::order_of_a_list(&[("a", "[1,2]")], &[("a", "[2,1]")])]
    #[case::beyond_numbers(&[("a", "1e999")], &[("a", "1e998")])]
    fn another_request(#[case] one: &[(&str, &str)], #[case] other: &[(&str, &str)]) {
        assert_ne!(body(one), body(other));
    }

    #[test]
    fn a_key_belongs_to_its_endpoint() {
        let key = |endpoint, key| *mark(endpoint, key, &[]).key();
        assert_eq!(key(Endpoint::Chat, "k"), key(Endpoint::Chat, "k"));
        assert_ne!(key(Endpoint::Chat, "k"), key(Endpoint::Completions, "k"));
        assert_ne!(key(Endpoint::Chat, "k"), key(Endpoint::Chat, "K"));
    }
}
