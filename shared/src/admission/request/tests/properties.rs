//! What holds for every body.

use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::*;
use crate::json_object::{Duplicates, Members};

const FIELDS: [&str; 39] = [
    "api_secret_key",
    "model",
    "messages",
    "prompt",
    "input",
    "encoding_format",
    "dimensions",
    "suffix",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "n",
    "stream",
    "stream_options",
    "logprobs",
    "top_logprobs",
    "echo",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "best_of",
    "logit_bias",
    "user",
    "seed",
    "tools",
    "functions",
    "tool_choice",
    "function_call",
    "response_format",
    "parallel_tool_calls",
    "size",
    "role",
    "content",
    "type",
    "text",
    "tool_calls",
    "function",
    "other",
];

/// Values that are often right, and all others.
fn any_json() -> impl Strategy<Value = String> {
    let often = [
        "null",
        "true",
        "false",
        "0",
        "1",
        "2",
        "16",
        "-1",
        "0.50",
        "1.0",
        "1e400",
        "-1e400",
        "1E-400",
        "9223372036854775807",
        "9223372036854775808",
        "-0",
        "[]",
        "{}",
        "\"\"",
        "\"user\"",
        "\"assistant\"",
        "\"text\"",
        "\"json_object\"",
        "\"1024x1024\"",
        "\"b64_json\"",
        "\"base64\"",
        "\"\\u4f60\\ud83d\\ude00\"",
        r#"[ {"role":"user","content":"hi"} ]"#,
        r#"{"include_usage": true}"#,
        r#"{"50256":-100}"#,
        r#"[[1,2],[3]]"#,
        r#"[ {"type":"text","text":"hi"}, {"type":"image_url"} ]"#,
    ];
    let leaf = prop_oneof![
        6 => prop::sample::select(often.to_vec()).prop_map(str::to_owned),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        1 => any::<f64>().prop_filter("JSON has no such number", |number| number.is_finite()).prop_map(|number| number.to_string()),
        1 => ".{0,8}".prop_map(|text| Value::from(text).to_string()),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let name = prop::sample::select(FIELDS.to_vec());
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|entries| format!("[{}]", entries.join(" , "))),
            prop::collection::vec((name, inner), 0..4).prop_map(|members| object(&members)),
        ]
    })
}

fn object<Name: AsRef<str>>(members: &[(Name, String)]) -> String {
    let members: Vec<String> =
        members.iter().map(|(name, json)| format!("{} : {json}", Value::from(name.as_ref()))).collect();
    format!("{{ {} }}", members.join(" ,\n "))
}

fn any_members() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = prop_oneof![9 => prop::sample::select(FIELDS.to_vec()).prop_map(str::to_owned), 1 => ".{0,4}"];
    prop::collection::hash_map(name, any_json(), 0..6).prop_map(|members| members.into_iter().collect())
}

fn any_endpoint() -> impl Strategy<Value = (Endpoint, Rules)> {
    let endpoints =
        [Endpoint::Chat, Endpoint::Completions, Endpoint::Images, Endpoint::Embeddings, Endpoint::Moderations];
    (prop::sample::select(endpoints.to_vec()), prop::sample::select(vec![Rules::Original, Rules::OpenAi]))
}

/// What makes a call of nothing else.
fn required(endpoint: Endpoint) -> Vec<(String, String)> {
    let members = match endpoint {
        Endpoint::Chat => vec![("messages", r#"[{"role":"user","content":"hi"}]"#)],
        Endpoint::Completions => vec![("model", "\"m\""), ("prompt", "\"a\"")],
        Endpoint::Images => vec![("prompt", "\"a\"")],
        Endpoint::Embeddings => vec![("model", "\"m\""), ("input", "\"a\"")],
        Endpoint::Moderations => vec![("input", "\"a\"")],
    };
    members.into_iter().map(|(name, json)| (name.to_owned(), json.to_owned())).collect()
}

/// What the worker puts around the fields.
fn assert_fields(call: &CallRequest, body: &str) {
    assert!(!call.fields.is_empty());
    let sent = format!("{{{}}}", call.fields);
    let sent = Members::parse(&sent, Duplicates::Refuse).unwrap();
    let sent: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (name, value.get())).collect();
    let came = Members::parse(body, Duplicates::Refuse).unwrap();
    let defaults = [
        ("prompt", "\"<|endoftext|>\"", Endpoint::Completions),
        ("max_tokens", "16", Endpoint::Completions),
        ("size", "\"1024x1024\"", Endpoint::Images),
    ];
    let kept_back = match call.endpoint {
        Endpoint::Embeddings | Endpoint::Moderations => &["api_secret_key", "model"][..],
        _ => &["api_secret_key", "model", "stream", "stream_options"],
    };
    let mut expected: Vec<(&str, &str)> = came
        .iter()
        .filter(|(name, _)| !kept_back.contains(name))
        .map(|(name, value): (&str, &RawValue)| (name, value.get()))
        .collect();
    for (name, usual, _) in defaults.into_iter().filter(|(.., endpoint)| *endpoint == call.endpoint) {
        match expected.iter_mut().find(|(each, _)| *each == name) {
            Some((_, json)) if *json == "null" => *json = usual,
            Some(_) => {}
            None => expected.push((name, usual)),
        }
    }
    assert_eq!(sent, expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn any_body_is_a_call_or_refused((endpoint, rules) in any_endpoint(), members in any_members()) {
        let body = object(&members);
        match read(endpoint, rules, &body) {
            Ok(call) => assert_fields(&call, &body),
            Err(refusal) => prop_assert_eq!(refusal.reason.status(), 400),
        }
    }

    /// With all that is required, so that each field is reached and most bodies are calls.
    #[test]
    fn any_value_in_any_field(
        (endpoint, rules) in any_endpoint(),
        name in prop::sample::select(FIELDS.to_vec()),
        json in any_json(),
        others in any::<bool>(),
    ) {
        let mut members = required(endpoint);
        if others {
            members.insert(0, ("unknown".to_owned(), "{\"a\": [1.50]}".to_owned()));
        }
        members.retain(|(each, _)| each != name);
        members.push((name.to_owned(), json));
        let body = object(&members);
        match read(endpoint, rules, &body) {
            Ok(call) => {
                assert_fields(&call, &body);
                let generates = !matches!(endpoint, Endpoint::Embeddings | Endpoint::Moderations);
                prop_assert!(call.prompt.tokens >= 0 && call.choices >= 1);
                let least = if generates { call.choices } else { 0 };
                prop_assert!(call.candidates >= least && (generates || call.candidates == 0), "{}", call.candidates);
            }
            Err(refusal) => {
                prop_assert_eq!(refusal.reason.status(), 400);
                prop_assert!(refusal.param.is_some(), "{}", refusal.message);
            }
        }
    }

    #[test]
    fn any_message(message in any_json(), rules in prop::sample::select(vec![Rules::Original, Rules::OpenAi])) {
        let messages = format!("[{message}]");
        for messages in [messages, format!("[{{\"role\":\"assistant\",\"content\":\"a\",\"tool_calls\":[{message}]}}]")] {
            let body = format!("{{\"messages\":{messages}}}");
            match read(Endpoint::Chat, rules, &body) {
                Ok(call) => assert_fields(&call, &body),
                Err(refusal) => prop_assert!(refusal.param.unwrap().starts_with("messages")),
            }
        }
    }

    #[test]
    fn any_bytes_are_read_as_serde_json_reads_them(bytes in "[{}\\[\\]:,\"\\\\ua1n \n.e-]{0,12}") {
        let is_object = serde_json::from_str::<Map<String, Value>>(&bytes).is_ok();
        let is_body = Body::parse(bytes.as_bytes()).is_ok();
        // We are stricter on names only, and leave the size of numbers to the fields.
        prop_assert!(!is_body || is_object || bytes.contains('e'), "{bytes}");
        if is_object && !is_body {
            prop_assert!(Body::parse(bytes.as_bytes()).unwrap_err().message.contains("comes twice"));
        }
    }
}
