//! Embeddings and moderations, as OpenAI answers for them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::text_of;

/// How long a vector is when the request does not say.
const DIMENSIONS: i64 = 4;
/// What is judged, each with the kinds of input that it sees.
const CATEGORIES: [(&str, &[&str]); 13] = [
    ("harassment", &["text"]),
    ("harassment/threatening", &["text"]),
    ("hate", &["text"]),
    ("hate/threatening", &["text"]),
    ("illicit", &["text"]),
    ("illicit/violent", &["text"]),
    ("self-harm", &["text", "image"]),
    ("self-harm/intent", &["text", "image"]),
    ("self-harm/instructions", &["text", "image"]),
    ("sexual", &["text", "image"]),
    ("sexual/minors", &["text"]),
    ("violence", &["text", "image"]),
    ("violence/graphic", &["text", "image"]),
];
/// What is found in a text that says so.
const FOUND: &str = "violence";

/// One vector for each input, which is the input's number, one less, two less and so on.
pub(super) fn embeddings(asked: &Value) -> Value {
    let inputs = match &asked["input"] {
        // Numbers are the tokens of one input.
        Value::Array(inputs) if !inputs.iter().all(Value::is_number) => inputs.len(),
        _ => 1,
    };
    let entries = (0..i64::try_from(inputs).expect("a few")).map(|index| {
        let numbers = (0..asked["dimensions"].as_i64().unwrap_or(DIMENSIONS)).map(|place| index - place);
        let numbers: Vec<f32> = numbers.map(|number| f32::from(i16::try_from(number).expect("a small one"))).collect();
        let embedding = if asked["encoding_format"] == "base64" {
            json!(STANDARD.encode(numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>()))
        } else {
            json!(numbers)
        };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    });
    let usage = json!({"prompt_tokens": 11, "total_tokens": 11});
    json!({"object": "list", "data": entries.collect::<Vec<_>>(), "model": asked["model"], "usage": usage})
}

/// One judgement for each text, or for all parts of an input together.
pub(super) fn moderations(asked: &Value) -> Value {
    let results: Vec<Value> = match &asked["input"] {
        Value::Array(inputs) if inputs.iter().all(Value::is_string) => inputs.iter().map(judgement).collect(),
        input => vec![judgement(input)],
    };
    json!({"id": "theirs-1", "model": asked["model"], "results": results})
}

fn judgement(input: &Value) -> Value {
    let is_found = |category: &str| category == FOUND && text_of(input).contains(FOUND);
    let each = |value: &dyn Fn(&str, &[&str]) -> Value| -> Map<String, Value> {
        CATEGORIES.iter().map(|(category, sees)| ((*category).to_owned(), value(category, sees))).collect()
    };
    json!({
        "flagged": is_found(FOUND),
        "categories": each(&|category, _| json!(is_found(category))),
        "category_scores": each(&|category, _| if is_found(category) { json!(0.75) } else { json!(1.5e-6) }),
        "category_applied_input_types": each(&|_, sees| json!(sees)),
    })
}
