//! What a repeated call is known by: its key, and what it asks for.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

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
        match digest(json) {
            Ok(digest) => part(&mut hash, b'v', digest.as_bytes()),
            // A number beyond every computer's: it is compared as it is written.
            Err(_) => part(&mut hash, b'r', json.as_bytes()),
        }
    }
    *hash.finalize().as_bytes()
}

fn digest(json: &str) -> serde_json::Result<blake3::Hash> {
    let mut hash = blake3::Hasher::new();
    let mut deserializer = serde_json::Deserializer::from_str(json);
    Hashing(&mut hash).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(hash.finalize())
}

/// Hashes a value while it is read, so that the largest takes no more memory than the longest of its texts and the members of an object:
/// a letter for its kind, and what it holds with its length before it, or with an end behind it. No two values give the same bytes.
struct Hashing<'hash>(&'hash mut blake3::Hasher);

impl<'de> DeserializeSeed<'de> for Hashing<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Hashing<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        part(self.0, b'0', b"");
        Ok(())
    }

    fn visit_bool<E>(self, is_true: bool) -> Result<(), E> {
        part(self.0, b'b', &[u8::from(is_true)]);
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        part(self.0, b'd', number.to_string().as_bytes());
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        part(self.0, b'd', number.to_string().as_bytes());
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        part(self.0, b'f', &number.to_le_bytes());
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        part(self.0, b's', text.as_bytes());
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        self.0.update(b"a");
        while sequence.next_element_seed(Hashing(&mut *self.0))?.is_some() {}
        self.0.update(b"e");
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut members: Vec<[u8; 32]> = Vec::new();
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            let mut member = blake3::Hasher::new();
            part(&mut member, b'n', name.as_bytes());
            map.next_value_seed(Hashing(&mut member))?;
            members.push(*member.finalize().as_bytes());
        }
        // Their order says nothing.
        members.sort_unstable();
        self.0.update(b"o");
        members.iter().for_each(|member| part(self.0, b'm', member));
        self.0.update(b"e");
        Ok(())
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
