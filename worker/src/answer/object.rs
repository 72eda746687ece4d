//! JSON objects of which only the top level is looked at: values are neither copied nor understood, so whatever a
//! provider sends in them reaches the client byte for byte.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, Visitor};
use serde_json::value::RawValue;
use shared::json_object::Duplicates;
pub(super) use shared::json_object::Members;

use super::{Excerpt, Nonsense};

/// Reads an object. A name that comes twice keeps its first place and its last value, which is the value that clients see too.
///
/// # Errors
/// When the bytes are not JSON, not an object, or have too many members.
pub(super) fn members(data: &[u8]) -> Result<Members<'_>, Nonsense> {
    // Once for all: what is cut out of a `str` needs no further check.
    let text = std::str::from_utf8(data).map_err(|error| Nonsense::Malformed(Excerpt::of(&error.to_string())))?;
    Ok(Members::parse(text, Duplicates::KeepLast)?)
}

/// Reads a value that must be an object; serde's structs would take an array for one.
///
/// # Errors
/// When it is something else, or a member has a type that `T` does not take.
pub(super) fn parse<'a, T: Deserialize<'a>>(value: &'a RawValue) -> Result<T, Nonsense> {
    if !value.get().starts_with('{') {
        return Err(Nonsense::Malformed(Excerpt::of(&format!("not an object: {}", value.get()))));
    }
    Ok(serde_json::from_str(value.get())?)
}

/// The text of a value, or `None` when it is not a string. Half a surrogate pair, which some providers send when they
/// cut an emoji in two, becomes U+FFFD here (it counts as a part of a word, as the emoji does) and stays in the reply.
pub(super) fn string(value: &RawValue) -> Option<Cow<'_, str>> {
    struct Text;

    impl Visitor<'_> for Text {
        type Value = String;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a string")
        }

        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
            Ok(String::from_utf8_lossy(bytes).into_owned())
        }
    }

    let quoted = value.get().strip_prefix('"')?.strip_suffix('"')?;
    if !quoted.contains('\\') {
        return Some(Cow::Borrowed(quoted));
    }
    serde_json::Deserializer::from_str(value.get()).deserialize_bytes(Text).ok().map(Cow::Owned)
}

/// Writes an object member by member.
#[derive(Debug)]
pub(super) struct ObjectWriter(Vec<u8>);

impl ObjectWriter {
    /// An object without members yet, of about so many bytes in the end.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        let mut written = Vec::with_capacity(bytes);
        written.push(b'{');
        Self(written)
    }

    /// Adds a member whose value is JSON already.
    pub(super) fn member(&mut self, name: &str, json: &str) {
        self.separate();
        push_string(&mut self.0, name);
        self.0.push(b':');
        let value = self.0.len();
        self.0.extend_from_slice(json.as_bytes());
        // A provider's line breaks would end the lines of our own stream. Within strings JSON has none.
        self.0[value..].iter_mut().filter(|byte| **byte < b' ').for_each(|byte| *byte = b' ');
    }

    /// Adds the usage as a reply tells it.
    pub(super) fn usage(&mut self, prompt_tokens: i64, completion_tokens: i64) {
        let total = prompt_tokens.saturating_add(completion_tokens);
        let counts = format!(
            r#"{{"prompt_tokens":{prompt_tokens},"completion_tokens":{completion_tokens},"total_tokens":{total}}}"#
        );
        self.member("usage", &counts);
    }

    /// Adds the usage of a call that generates nothing.
    pub(super) fn prompt_usage(&mut self, tokens: i64) {
        self.member("usage", &format!(r#"{{"prompt_tokens":{tokens},"total_tokens":{tokens}}}"#));
    }

    /// Adds all members of another object behind those of this one.
    pub(super) fn append(&mut self, other: &Self) {
        if let [_, members @ ..] = other.0.as_slice()
            && !members.is_empty()
        {
            self.separate();
            self.0.extend_from_slice(members);
        }
    }

    /// The whole object.
    pub(super) fn finish(mut self) -> Bytes {
        self.0.push(b'}');
        Bytes::from(self.0)
    }

    fn separate(&mut self) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
    }
}

/// A text as JSON, in quotes.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn push_string(out: &mut Vec<u8>, text: &str) {
    let is_plain = text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\');
    if is_plain {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(quoted(text).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use shared::json_object::MOST_MEMBERS;

    use super::*;

    fn written_again(json: &str) -> String {
        let members = members(json.as_bytes()).unwrap();
        let mut object = ObjectWriter::with_capacity(json.len());
        for (name, value) in members.iter() {
            object.member(name, value.get());
        }
        String::from_utf8(object.finish().to_vec()).unwrap()
    }

    #[rstest]
    #[case::empty("{}", "{}")]
    #[case::numbers(
        r#"{"a":1e400,"b":0.1000,"c":12345678901234567890}"#,
        r#"{"a":1e400,"b":0.1000,"c":12345678901234567890}"#
    )]
    #[case::escapes_of_values(r#"{"a":"\u00e9\/\ud83d"}"#, r#"{"a":"\u00e9\/\ud83d"}"#)]
    #[case::names(r#"{"\u00e9\"":1}"#, r#"{"é\"":1}"#)]
    #[case::space_within_values_only(" { \"a\" : [ 1 , {} ] , \"b\" : null } \n", r#"{"a":[ 1 , {} ],"b":null}"#)]
    #[case::last_of_two(r#"{"a":1,"b":2,"\u0061":3}"#, r#"{"a":3,"b":2}"#)]
    fn values_stay_as_they_came(#[case] json: &str, #[case] expected: &str) {
        assert_eq!(written_again(json), expected);
    }

    #[rstest]
    #[case::nothing(b"")]
    #[case::array(b"[1]")]
    #[case::text(b"\"{}\"")]
    #[case::html(b"<html>")]
    #[case::cut_off(b"{\"a\":1")]
    #[case::two(b"{}{}")]
    #[case::not_utf8(b"{\"a\":\"\xff\"}")]
    fn what_is_not_an_object_is_refused(#[case] data: &[u8]) {
        assert!(matches!(members(data), Err(Nonsense::Malformed(_))));
    }

    #[test]
    fn members_are_bounded() {
        let object = |members: usize| {
            let members: Vec<String> = (0..members).map(|number| format!("\"m{number}\":0")).collect();
            format!("{{{}}}", members.join(","))
        };
        assert!(members(object(MOST_MEMBERS).as_bytes()).is_ok());
        assert!(members(object(MOST_MEMBERS + 1).as_bytes()).is_err());
    }

    #[test]
    fn null_is_as_good_as_absent() {
        let members = members(br#"{"a":null,"b":0}"#).unwrap();
        assert!(members.get("a").is_none() && members.get("c").is_none());
        assert_eq!(members.get("b").map(RawValue::get), Some("0"));
    }

    #[rstest]
    #[case::plain(r#""a 你""#, Some("a 你"))]
    #[case::escapes(r#""\"\n\u4f60\ud83d\ude00""#, Some("\"\n你😀"))]
    #[case::half_a_pair(r#""a\ud83d""#, Some("a\u{FFFD}\u{FFFD}\u{FFFD}"))]
    #[case::empty(r#""""#, Some(""))]
    #[case::number("1", None)]
    #[case::null("null", None)]
    #[case::list(r#"["a"]"#, None)]
    fn texts(#[case] json: &str, #[case] expected: Option<&str>) {
        assert_eq!(string(serde_json::from_str(json).unwrap()).as_deref(), expected);
    }

    proptest! {
        #[test]
        fn names_survive(name in ".*") {
            let json = format!("{{{}:1}}", quoted(&name));
            let again = written_again(&json);
            let members = members(again.as_bytes()).unwrap();
            prop_assert_eq!(members.iter().next().map(|(name, _)| name.to_owned()), Some(name));
        }
    }
}
