//! JSON objects of which only the top level is looked at: values are neither copied nor understood, so whatever a caller or a provider
//! sends in them passes through byte for byte.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// No object of OpenAI's API has more members than this.
pub const MOST_MEMBERS: usize = 1_000;

/// What to do with a name that comes twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duplicates {
    /// An error: two readers could take different values.
    Refuse,
    /// The first place, the last value.
    KeepLast,
}

/// The members of an object, in their order.
#[derive(Debug)]
pub struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Reads an object and nothing behind it.
    ///
    /// # Errors
    /// When the text is not JSON, not an object, has too many members, or a name twice that is to be refused.
    pub fn parse(text: &'a str, duplicates: Duplicates) -> serde_json::Result<Self> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let members = Object(duplicates).deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(members)
    }

    /// The value of a member, unless it is `null`.
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        let (_, value) = self.0.iter().find(|(each, _)| each == name)?;
        (value.get() != "null").then_some(*value)
    }

    /// All members, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), *value))
    }
}

struct Object(Duplicates);

impl<'de> DeserializeSeed<'de> for Object {
    type Value = Members<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object {
    type Value = Members<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::with_capacity(8);
        while let Some((Name(name), value)) = map.next_entry()? {
            match members.iter().position(|(each, _)| *each == name) {
                Some(_) if self.0 == Duplicates::Refuse => {
                    return Err(A::Error::custom(format_args!("the name \"{name}\" comes twice")));
                }
                Some(earlier) => members[earlier].1 = value,
                None if members.len() == MOST_MEMBERS => {
                    return Err(A::Error::custom(format_args!("more than {MOST_MEMBERS} members in an object")));
                }
                None => members.push((name, value)),
            }
        }
        Ok(Members(members))
    }
}

/// A member's name, borrowed where it has no escapes (`Cow` by itself never borrows).
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// The entries of a value that must be an array.
///
/// # Errors
/// When it is something else, or has more than `most` entries.
pub fn parse_list(value: &RawValue, most: usize) -> serde_json::Result<Vec<&RawValue>> {
    struct Entries(usize);

    impl<'de> Visitor<'de> for Entries {
        type Value = Vec<&'de RawValue>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an array")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
            let mut entries = Vec::new();
            while let Some(entry) = sequence.next_element()? {
                if entries.len() == self.0 {
                    return Err(A::Error::custom(format_args!("more than {} entries in an array", self.0)));
                }
                entries.push(entry);
            }
            Ok(entries)
        }
    }

    serde_json::Deserializer::from_str(value.get()).deserialize_seq(Entries(most))
}

/// The text of a value; `None` when it is not a string of whole characters. Borrowed where it has no escapes.
pub fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    let quoted = value.get().strip_prefix('"')?.strip_suffix('"')?;
    if !quoted.contains('\\') {
        return Some(Cow::Borrowed(quoted));
    }
    serde_json::from_str(value.get()).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_comes_twice_is_refused_or_its_last_value_kept() {
        let json = r#"{"a":1,"b":2,"\u0061":3}"#;
        let error = Members::parse(json, Duplicates::Refuse).unwrap_err();
        assert!(error.to_string().starts_with("the name \"a\" comes twice at line 1"), "{error}");
        let kept = Members::parse(json, Duplicates::KeepLast).unwrap();
        assert_eq!(kept.iter().map(|(name, value)| (name, value.get())).collect::<Vec<_>>(), [("a", "3"), ("b", "2")]);
    }

    #[test]
    fn what_stands_behind_an_object_is_refused() {
        for json in ["", "[1]", "{}{}", "{\"a\":1", "\"{}\"", "{} x"] {
            assert!(Members::parse(json, Duplicates::Refuse).is_err(), "{json}");
        }
    }

    #[test]
    fn numbers_stay_as_they_came() {
        let members = Members::parse(r#"{"a":1e400,"b":0.1000,"c":12345678901234567890}"#, Duplicates::Refuse).unwrap();
        assert_eq!(members.get("b").map(RawValue::get), Some("0.1000"));
        assert_eq!(members.get("c").map(RawValue::get), Some("12345678901234567890"));
    }
}
