//! The embeddings in a whole answer: one for each input, in the form that was asked for.
//!
//! Numbers reach the client as the provider wrote them. Only where a provider does not know the other form (there are such) they are
//! put into it, since a client that asked for one reads garbage out of the other.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::value::RawValue;
use shared::json_object::{Duplicates, parse_list};
use shared::queue::Job;

use super::Nonsense;
use super::meter::most_choices;
use super::object::{Members, ObjectWriter, members, string};

/// Base64 as OpenAI writes it; read also without its padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
const NO_VECTOR: Nonsense = Nonsense::Missing("vector in an embedding");
const NO_INDEX: Nonsense = Nonsense::Missing("index of its own in an embedding");

/// The array for the client.
///
/// # Errors
/// When there is not exactly one embedding for each input, or one is no vector.
pub(super) fn entries(job: &Job, data: &RawValue) -> Result<String, Nonsense> {
    let entries = parse_list(data, most_choices(job))?;
    if i64::try_from(entries.len()) != Ok(job.choices) {
        return Err(Nonsense::OtherNumber { what: "embeddings", found: entries.len(), asked: job.choices });
    }
    let form = Form::asked_for(job);
    let mut is_seen = vec![false; entries.len()];
    let mut array = String::with_capacity(data.get().len() + 2);
    for (place, entry) in entries.into_iter().enumerate() {
        let entry = members(entry.get().as_bytes())?;
        let index = index(&entry, place)?;
        match is_seen.get_mut(index) {
            Some(seen) if !*seen => *seen = true,
            _ => return Err(NO_INDEX),
        }
        array.push(if place == 0 { '[' } else { ',' });
        array.push_str(&rewritten(&entry, index, form)?);
    }
    array.push(']');
    Ok(array)
}

/// The form of the vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// An array of numbers.
    Numbers,
    /// Their 32 bits each, the lowest byte first, in base64.
    Base64,
}

impl Form {
    fn asked_for(job: &Job) -> Self {
        const NAME: &str = "encoding_format";
        // Most calls do not say it, and a body may be long.
        if !job.fields.contains(NAME) {
            return Self::Numbers;
        }
        let fields = format!("{{{}}}", job.fields);
        let asked = Members::parse(&fields, Duplicates::KeepLast).ok();
        match asked.and_then(|members| members.get(NAME)).and_then(string).as_deref() {
            Some("base64") => Self::Base64,
            _ => Self::Numbers,
        }
    }

    /// The vector in this form, as JSON.
    fn of(self, vector: &RawValue) -> Result<String, Nonsense> {
        if let Some(numbers) = numbers(vector) {
            return match self {
                Self::Numbers => Ok(vector.get().to_owned()),
                Self::Base64 => encoded(numbers),
            };
        }
        let text = string(vector).ok_or(NO_VECTOR)?;
        let bytes = BASE64.decode(text.as_ref()).map_err(|_| NO_VECTOR)?;
        match bytes.as_chunks::<4>() {
            ([], _) | (_, [_, ..]) => Err(NO_VECTOR),
            _ if self == Self::Base64 => Ok(vector.get().to_owned()),
            (numbers, []) => decoded(numbers),
        }
    }
}

fn index(entry: &Members<'_>, place: usize) -> Result<usize, Nonsense> {
    match entry.get("index") {
        Some(index) => index.get().parse().map_err(|_| NO_INDEX),
        None => Ok(place),
    }
}

fn rewritten(entry: &Members<'_>, index: usize, form: Form) -> Result<String, Nonsense> {
    let vector = form.of(entry.get("embedding").ok_or(NO_VECTOR)?)?;
    let mut written = ObjectWriter::with_capacity(vector.len() + 64);
    written.member("object", r#""embedding""#);
    written.member("index", &index.to_string());
    written.member("embedding", &vector);
    for (name, value) in entry.iter() {
        if !matches!(name, "object" | "index" | "embedding") {
            written.member(name, value.get());
        }
    }
    Ok(String::from_utf8_lossy(&written.finish()).into_owned())
}

/// What stands between the brackets of an array that holds nothing but numbers, and at least one.
fn numbers(vector: &RawValue) -> Option<&str> {
    let inside = vector.get().strip_prefix('[')?.strip_suffix(']')?;
    let is_of_numbers =
        |byte: u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E' | b',' | b' ' | b'\t' | b'\n' | b'\r');
    (inside.bytes().all(is_of_numbers) && inside.bytes().any(|byte| byte.is_ascii_digit())).then_some(inside)
}

fn encoded(numbers: &str) -> Result<String, Nonsense> {
    let mut bytes = Vec::with_capacity(numbers.len() / 2);
    for number in numbers.split(',') {
        let number: f32 = number.trim_ascii().parse().map_err(|_| NO_VECTOR)?;
        // A number beyond what these bytes can say.
        if !number.is_finite() {
            return Err(NO_VECTOR);
        }
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    Ok(format!("\"{}\"", BASE64.encode(bytes)))
}

fn decoded(numbers: &[[u8; 4]]) -> Result<String, Nonsense> {
    let mut array = String::with_capacity(numbers.len() * 14);
    for bytes in numbers {
        let number = f32::from_le_bytes(*bytes);
        if !number.is_finite() {
            return Err(NO_VECTOR);
        }
        array.push(if array.is_empty() { '[' } else { ',' });
        array.push_str(&number.to_string());
    }
    array.push(']');
    Ok(array)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use shared::queue::Endpoint;

    use super::super::sample::job;
    use super::super::{Excerpt, ProviderUsage, WholeAnswer};
    use super::*;

    const FLOATS: &str = r#""input":"a""#;
    const BASE64_ASKED: &str = r#""input":"a","encoding_format":"base64""#;

    fn job_of(fields: &str, inputs: i64) -> Job {
        Job { fields: fields.to_owned(), ..job(Endpoint::Embeddings, inputs) }
    }

    fn read(job: &Job, json: &str) -> Result<WholeAnswer, Nonsense> {
        WholeAnswer::read(job, &json.to_owned().into())
    }

    /// The only embedding of a reply.
    fn vector(fields: &str, theirs: &str) -> Result<serde_json::Value, Nonsense> {
        let answer = read(&job_of(fields, 1), &format!(r#"{{"data":[{{"embedding":{theirs}}}]}}"#))?;
        let reply: serde_json::Value = serde_json::from_slice(&answer.into_reply(1, 0)).unwrap();
        Ok(reply["data"][0]["embedding"].clone())
    }

    #[test]
    fn numbers_pass_through_as_they_were_written() {
        let theirs = r#"{"id":"theirs","object":"list","created":1,"data":[{"object":"embedding","index":0,"embedding":[ -0.0060,1E-7,
            12345678901234567890.10 ]},{"embedding":[1],"index":1,"x":1e2}],"model":"up","usage":{"prompt_tokens":9,"total_tokens":9},"y":0.10}"#;
        let answer = read(&job_of(FLOATS, 2), theirs).unwrap();
        assert_eq!(answer.usage, Some(ProviderUsage { prompt: 9, completion: 0 }));
        assert_eq!((answer.tally.tokens, answer.images), (0, 0));
        let expected = r#"{"code":0,"msg":"","object":"list","data":[{"object":"embedding","index":0,"embedding":[ -0.0060,1E-7,             12345678901234567890.10 ]},{"object":"embedding","index":1,"embedding":[1],"x":1e2}],"model":"gpt-3.5","usage":{"prompt_tokens":7,"total_tokens":7},"created":1,"y":0.10}"#;
        assert_eq!(answer.into_reply(7, 0), expected);
    }

    #[rstest]
    #[case::floats(FLOATS, "[0.5,-2]", "[0.5,-2]")]
    #[case::base64(BASE64_ASKED, r#""AAAAPwAAAMA=""#, r#""AAAAPwAAAMA=""#)]
    #[case::base64_with_escapes(BASE64_ASKED, r#""\/\/9\/\/w==""#, r#""//9//w==""#)]
    #[case::floats_instead(BASE64_ASKED, "[ 0.5 , -2e0 ]", r#""AAAAPwAAAMA=""#)]
    #[case::base64_instead(FLOATS, r#""AAAAPwAAAMA=""#, "[0.5,-2]")]
    #[case::base64_without_padding(FLOATS, r#""AAAAPwAAAMA""#, "[0.5,-2]")]
    #[case::asked_in_escapes(r#""encoding\u005fformat":"base64","input":"encoding_format""#, "[0.5]", r#""AAAAPw==""#)]
    #[case::float_by_name(r#""encoding_format":"float","input":"base64""#, "[0.5]", "[0.5]")]
    fn forms(#[case] fields: &str, #[case] theirs: &str, #[case] ours: &str) {
        let ours: serde_json::Value = serde_json::from_str(ours).unwrap();
        assert_eq!(vector(fields, theirs), Ok(ours));
    }

    #[rstest]
    #[case::absent("null")]
    #[case::empty("[]")]
    #[case::empty_text("\"\"")]
    #[case::nulls("[1,null]")]
    #[case::texts(r#"["1"]"#)]
    #[case::nested("[[1]]")]
    #[case::object(r#"{"0":1}"#)]
    #[case::number("1")]
    #[case::words("\"no vector\"")]
    #[case::cut("\"AAAAPwAA\"")]
    #[case::infinite("\"AACAfw==\"")]
    fn what_is_no_vector(#[case] theirs: &str) {
        assert_eq!(vector(FLOATS, theirs), Err(NO_VECTOR));
    }

    #[test]
    fn what_no_float_can_say_is_no_vector_in_base64() {
        assert_eq!(vector(BASE64_ASKED, "[1,1e39]"), Err(NO_VECTOR));
    }

    #[rstest]
    #[case::nothing("{}", Nonsense::Missing("data"))]
    #[case::none(r#"{"data":[]}"#, Nonsense::OtherNumber { what: "embeddings", found: 0, asked: 2 })]
    #[case::too_few(r#"{"data":[{"embedding":[1]}]}"#, Nonsense::OtherNumber { what: "embeddings", found: 1, asked: 2 })]
    #[case::too_many(r#"{"data":[{"embedding":[1]},{"embedding":[1]},{"embedding":[1]}]}"#, Nonsense::OtherNumber { what: "embeddings", found: 3, asked: 2 })]
    #[case::same_index(r#"{"data":[{"index":1,"embedding":[1]},{"index":1,"embedding":[1]}]}"#, NO_INDEX)]
    #[case::index_above(r#"{"data":[{"index":0,"embedding":[1]},{"index":2,"embedding":[1]}]}"#, NO_INDEX)]
    #[case::index_below(r#"{"data":[{"index":-1,"embedding":[1]},{"index":1,"embedding":[1]}]}"#, NO_INDEX)]
    #[case::no_vector(r#"{"data":[{"embedding":[1]},{"index":1}]}"#, NO_VECTOR)]
    #[case::error(r#"{"error":{"message":"no"},"data":[]}"#, Nonsense::ProviderError(Excerpt::of("no")))]
    fn nonsense(#[case] json: &str, #[case] expected: Nonsense) {
        assert_eq!(read(&job_of(FLOATS, 2), json).unwrap_err(), expected);
    }

    #[test]
    fn any_order_is_the_providers() {
        let answer =
            read(&job_of(FLOATS, 2), r#"{"data":[{"index":1,"embedding":[2]},{"index":0,"embedding":[1]}]}"#).unwrap();
        let reply: serde_json::Value = serde_json::from_slice(&answer.into_reply(1, 0)).unwrap();
        assert_eq!((&reply["data"][0]["index"], &reply["data"][1]["index"]), (&1.into(), &0.into()));
    }

    proptest! {
        #[test]
        fn the_other_form_is_the_same_vector(bits in prop::collection::vec(any::<u32>(), 1..8)) {
            let floats: Vec<f32> = bits.into_iter().map(f32::from_bits).filter(|number| number.is_finite()).collect();
            prop_assume!(!floats.is_empty());
            let bytes: Vec<u8> = floats.iter().flat_map(|number| number.to_le_bytes()).collect();
            let base64 = serde_json::Value::from(BASE64.encode(bytes));
            let numbers = vector(FLOATS, &base64.to_string()).unwrap();
            prop_assert_eq!(vector(BASE64_ASKED, &numbers.to_string()).unwrap(), base64);
        }
    }
}
