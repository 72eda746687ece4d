//! The echo channel's embeddings: a vector of length 1 that nothing but the input and the number of dimensions decide. Equal inputs have
//! equal vectors; what is alike in meaning is not alike here.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use shared::json_object::{parse_list, text};
use shared::queue::Job;

use super::super::UpstreamError;
use super::LONGEST;
use super::request::{parse, rejected};

const USUAL_DIMENSIONS: usize = 1_536;
const MOST_DIMENSIONS: usize = 4_096;
/// As many as admission lets through.
const MOST_INPUTS: usize = 2_048;
/// `-0.123456789,`
const LONGEST_NUMBER: usize = 13;
/// Numbers have nine places.
const ONE: i64 = 1_000_000_000;

#[derive(Deserialize)]
struct Request {
    input: Box<RawValue>,
    dimensions: Option<usize>,
    encoding_format: Option<String>,
}

pub(super) async fn reply(job: &Job, model: &str) -> Result<Bytes, UpstreamError> {
    let request: Request = parse(job)?;
    let dimensions = request.dimensions.unwrap_or(USUAL_DIMENSIONS);
    if !(1..=MOST_DIMENSIONS).contains(&dimensions) {
        return Err(rejected(format!("dimensions must be from 1 to {MOST_DIMENSIONS}")));
    }
    let inputs = inputs(&request.input)?;
    if inputs.len().saturating_mul(dimensions).saturating_mul(LONGEST_NUMBER) > LONGEST {
        return Err(rejected(format!("the answer would be over {LONGEST} bytes: ask for fewer inputs or dimensions")));
    }
    let is_base64 = request.encoding_format.as_deref() == Some("base64");
    let mut reply = String::from(r#"{"object":"list","data":["#);
    for (index, input) in inputs.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let vector = vector(input, dimensions);
        let vector = if is_base64 { encoded(&vector) } else { format!("[{}]", vector.join(",")) };
        // Writing to a string cannot fail.
        let _ = write!(reply, r#"{comma}{{"object":"embedding","index":{index},"embedding":{vector}}}"#);
        // Thousands of them would keep others waiting.
        tokio::task::yield_now().await;
    }
    let (model, tokens) = (Value::from(model), job.prompt.tokens);
    let _ = write!(reply, r#"],"model":{model},"usage":{{"prompt_tokens":{tokens},"total_tokens":{tokens}}}}}"#);
    Ok(Bytes::from(reply))
}

/// What is embedded: each text, or each array of tokens in its shortest form.
fn inputs(input: &RawValue) -> Result<Vec<String>, UpstreamError> {
    let one = |value: &RawValue| match text(value) {
        Some(text) => format!("text {text}"),
        None => value.get().split_ascii_whitespace().collect(),
    };
    if text(input).is_some() {
        return Ok(vec![one(input)]);
    }
    let entries = parse_list(input, usize::MAX).map_err(|error| rejected(format!("input cannot be read: {error}")))?;
    let is_of_tokens = |first: &&RawValue| !first.get().starts_with(['"', '[']);
    if entries.first().is_some_and(is_of_tokens) {
        return Ok(vec![one(input)]);
    }
    if entries.len() > MOST_INPUTS {
        return Err(rejected(format!("input must have at most {MOST_INPUTS} entries")));
    }
    Ok(entries.into_iter().map(one).collect())
}

/// The vector's numbers.
fn vector(input: &str, dimensions: usize) -> Vec<String> {
    let mut bytes = vec![0; dimensions * 2];
    blake3::Hasher::new().update(input.as_bytes()).finalize_xof().fill(&mut bytes);
    // None is zero, so neither is the length.
    let parts: Vec<i64> =
        bytes.as_chunks::<2>().0.iter().map(|pair| i64::from(i16::from_le_bytes(*pair)) * 2 + 1).collect();
    let length = parts.iter().map(|part| part * part).sum::<i64>().unsigned_abs().isqrt();
    let length = i64::try_from(length).unwrap_or(i64::MAX).max(1);
    parts.into_iter().map(|part| decimal(part * ONE / length)).collect()
}

fn decimal(billionths: i64) -> String {
    let sign = if billionths < 0 { "-" } else { "" };
    let size = billionths.abs();
    format!("{sign}{}.{:09}", size / ONE, size % ONE)
}

fn encoded(vector: &[String]) -> String {
    let numbers = vector.iter().map(|number| number.parse::<f32>().unwrap_or_default());
    let bytes: Vec<u8> = numbers.flat_map(f32::to_le_bytes).collect();
    format!("\"{}\"", STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use shared::queue::Endpoint;

    use super::*;

    async fn answer(fields: &str) -> Value {
        let job = crate::sample::job(Endpoint::Embeddings, fields, false);
        serde_json::from_slice(&reply(&job, "up \"1\"").await.unwrap()).unwrap()
    }

    fn vectors(answer: &Value) -> Vec<&Value> {
        answer["data"].as_array().unwrap().iter().map(|entry| &entry["embedding"]).collect()
    }

    #[rstest]
    #[case::text(r#""input":"one""#, 1, 1536)]
    #[case::texts(r#""input":["one","two","one"],"dimensions":3"#, 3, 3)]
    #[case::tokens(r#""input":[1,2,3],"dimensions":256"#, 1, 256)]
    #[case::token_lists(r#""input":[[1,2],[3]],"dimensions":1"#, 2, 1)]
    #[tokio::test]
    async fn shapes(#[case] fields: &str, #[case] count: usize, #[case] dimensions: usize) {
        let answer = answer(fields).await;
        assert_eq!((&answer["object"], &answer["model"]), (&"list".into(), &"up \"1\"".into()));
        assert_eq!(answer["usage"], serde_json::json!({"prompt_tokens": 7, "total_tokens": 7}));
        for (index, entry) in answer["data"].as_array().unwrap().iter().enumerate() {
            assert_eq!((&entry["object"], &entry["index"]), (&"embedding".into(), &index.into()));
        }
        let vectors = vectors(&answer);
        assert_eq!(vectors.len(), count);
        for vector in vectors {
            let numbers: Vec<f64> = vector.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect();
            assert_eq!(numbers.len(), dimensions);
            #[expect(clippy::float_arithmetic, reason = "the length of a vector, not money")]
            let length = numbers.iter().map(|number| number * number).sum::<f64>();
            assert!((0.999..1.001).contains(&length), "{length}");
        }
    }

    #[tokio::test]
    async fn the_input_alone_decides() {
        let first = answer(r#""input":["one","two"],"dimensions":8"#).await;
        let [one, two] = vectors(&first)[..] else { panic!() };
        assert_ne!(one, two);
        assert_eq!(vectors(&answer(r#""dimensions":8,"input":"two","user":"me""#).await), [two]);
        let tokens = answer(r#""input":[[1,2],[12],[ 1 ,2 ]],"dimensions":8"#).await;
        let [first, other, same] = vectors(&tokens)[..] else { panic!() };
        assert!(first == same && first != other);
        let as_text = answer(r#""input":"[1,2]","dimensions":8"#).await;
        assert_ne!(vectors(&as_text), [first], "tokens are not their text");
    }

    #[tokio::test]
    async fn both_forms_are_the_same_vector() {
        let floats = answer(r#""input":["one","two"],"dimensions":50,"encoding_format":"float""#).await;
        let base64 = answer(r#""input":["one","two"],"dimensions":50,"encoding_format":"base64""#).await;
        for (floats, base64) in vectors(&floats).into_iter().zip(vectors(&base64)) {
            let bytes = STANDARD.decode(base64.as_str().unwrap()).unwrap();
            assert_eq!(bytes.len(), 50 * 4);
            for (number, bytes) in floats.as_array().unwrap().iter().zip(bytes.as_chunks::<4>().0) {
                assert_eq!(number.to_string().parse::<f32>().unwrap(), f32::from_le_bytes(*bytes));
            }
        }
    }

    #[rstest]
    #[case::nothing(r#""a":1"#)]
    #[case::number(r#""input":1"#)]
    #[case::no_dimensions(r#""input":"a","dimensions":0"#)]
    #[case::dimensions(r#""input":"a","dimensions":4097"#)]
    #[tokio::test]
    async fn rejections(#[case] fields: &str) {
        let job = crate::sample::job(Endpoint::Embeddings, fields, false);
        assert!(matches!(reply(&job, "m").await, Err(UpstreamError::Rejected { status: 400, .. })));
    }

    #[tokio::test]
    async fn the_answer_is_bounded() {
        let fields =
            |dimensions| format!("\"input\":[{}\"a\"],\"dimensions\":{dimensions}", "\"a\",".repeat(MOST_INPUTS - 1));
        let job = |dimensions| crate::sample::job(Endpoint::Embeddings, &fields(dimensions), false);
        let largest = reply(&job(USUAL_DIMENSIONS), "m").await.unwrap();
        assert!(largest.len() < LONGEST);
        assert!(matches!(reply(&job(MOST_DIMENSIONS), "m").await, Err(UpstreamError::Rejected { .. })));
    }
}
