//! The description against the routes, the reasons of refusals, and the reader of requests.

use rstest::rstest;
use serde_json::{Value, json};
use shared::admission::request::{Body, Rules};
use shared::config::{Settings, Sources};
use shared::queue::Endpoint;

use super::*;

/// The settings of an installation that has said nothing.
pub(crate) fn default_settings() -> Settings {
    Settings::load(&Sources::default()).unwrap()
}

impl Description {
    /// Paths and methods.
    pub(crate) fn operations(&self) -> Vec<(String, String)> {
        let paths = self.document()["paths"].clone();
        let methods = ["get", "head", "post", "put", "delete", "options", "patch", "trace"];
        let of = |(path, item): (&String, &Value)| {
            let named = methods.into_iter().filter(|method| item.get(method).is_some());
            named.map(|method| (path.clone(), method.to_uppercase())).collect::<Vec<_>>()
        };
        paths.as_object().unwrap().iter().flat_map(of).collect()
    }

    fn document(&self) -> Value {
        serde_json::from_slice(&self.json).unwrap()
    }
}

fn document() -> Value {
    Description::new("https://api.example.com", &default_settings()).document()
}

#[test]
fn it_is_the_same_each_time() {
    let (one, other) = (document(), document());
    assert_eq!(one.to_string(), other.to_string());
    assert_eq!(one["openapi"], "3.1.0");
}

#[test]
fn every_reference_leads_somewhere_and_every_operation_has_an_id_of_its_own() {
    let document = document();
    let mut references = Vec::new();
    collect(&document, &mut |name, value| {
        if name == "$ref" {
            references.push(value.as_str().unwrap().to_owned());
        }
    });
    assert!(references.len() > 100, "{}", references.len());
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    let mut ids = Vec::new();
    collect(&document["paths"], &mut |name, value| {
        if name == "operationId" {
            ids.push(value.as_str().unwrap().to_owned());
        }
    });
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), all), (all, Description::new("", &default_settings()).operations().len()));
}

#[test]
fn every_reply_tells_the_id_and_every_operation_names_its_key() {
    let document = document();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap().iter().filter(|(name, _)| *name != "servers") {
            let responses = operation["responses"].as_object().unwrap();
            for (status, response) in responses {
                let reference = response["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
                let response = reference.map_or(response, |pointer| document.pointer(pointer).unwrap());
                assert!(response["headers"]["x-request-id"].is_object(), "{method} {path} {status}: {response}");
            }
            assert!(responses.contains_key("200"), "{method} {path}");
            let is_open = operation["security"].is_array();
            assert_eq!(is_open, !responses.contains_key("401"), "{method} {path}");
        }
    }
    assert_eq!(document["security"], json!([{"bearer": []}, {"x-api-key": []}]));
}

#[test]
fn an_installation_names_its_own_address_and_sizes() {
    let environment = vec![("XIAOYI_MODELS_IMAGE_SIZES".to_owned(), "512x512,640x480".to_owned())];
    let settings = Settings::load(&Sources { environment, ..Sources::default() }).unwrap();
    let document = Description::new("https://llm.example.org/shop", &settings).document();
    let addresses: Vec<_> = document["servers"].as_array().unwrap().iter().map(|server| &server["url"]).collect();
    let base = "https://llm.example.org/shop";
    assert_eq!(addresses, [base, &format!("{base}/api"), &format!("{base}/index.php/api")]);
    assert_eq!(document["paths"]["/healthz"]["servers"].as_array().unwrap().len(), 1);
    let size = &document["components"]["schemas"]["ImageRequest"]["properties"]["size"];
    assert_eq!(size["enum"], json!(["512x512", "640x480", null]));
}

#[rstest]
#[case::chat(Endpoint::Chat, "ChatRequest", json!({"messages": [{"role": "user", "content": "hello"}]}))]
#[case::completion(Endpoint::Completions, "CompletionRequest", json!({"model": "text-davinci-003"}))]
#[case::embedding(Endpoint::Embeddings, "EmbeddingRequest", json!({"model": "text-embedding-3-small", "input": "hello"}))]
#[case::moderation(Endpoint::Moderations, "ModerationRequest", json!({"input": "hello"}))]
#[case::image(Endpoint::Images, "ImageRequest", json!({"prompt": "an otter"}))]
fn a_request_is_described_as_it_is_read(#[case] endpoint: Endpoint, #[case] schema: &str, #[case] least: Value) {
    let document = document();
    let schema = &document["components"]["schemas"][schema];
    let required: Vec<&str> =
        schema["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert!(is_read(endpoint, &least));
    let mut tried = 0;
    for (name, property) in schema["properties"].as_object().unwrap() {
        let mut absent = least.clone();
        absent.as_object_mut().unwrap().remove(name);
        assert_eq!(is_read(endpoint, &absent), !required.contains(&name.as_str()), "without {name}");
        for (value, expected) in samples(property) {
            let mut body = least.clone();
            body[name] = value;
            // The two fields that depend on another one.
            if name == "stream_options" {
                body["stream"] = json!(true);
            }
            assert_eq!(is_read(endpoint, &body), expected, "{name}: {}", body[name]);
            tried += 1;
        }
    }
    assert!(tried > 15, "{tried}");
}

/// Values at the edges of what a schema allows and beyond them, each with whether it is allowed.
fn samples(schema: &Value) -> Vec<(Value, bool)> {
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().map(|kind| kind.as_str().unwrap()).collect(),
        _ => Vec::new(),
    };
    let mut all = Vec::new();
    if let Some(alternatives) = schema["anyOf"].as_array() {
        all.extend(alternatives.iter().flat_map(samples).filter(|(_, is_allowed)| *is_allowed));
        all.push((json!(true), false));
        return all;
    }
    if let Some(words) = schema["enum"].as_array() {
        all.extend(words.iter().map(|word| (word.clone(), true)));
        all.extend([(json!("another"), false), (json!(true), false)]);
        return all;
    }
    all.push((Value::Null, kinds.contains(&"null")));
    for (kind, other) in [("string", json!("1")), ("boolean", json!(true)), ("object", json!({})), ("array", json!([]))]
    {
        if !kinds.contains(&kind) && !kinds.is_empty() {
            all.push((other, false));
        }
    }
    for kind in kinds {
        match kind {
            "integer" => {
                let [least, most] = ["minimum", "maximum"].map(|name| schema[name].as_i64().unwrap());
                all.extend([(json!(least), true), (json!(most), true), (json!(1.5), false)]);
                all.extend(least.checked_sub(1).map(|below| (json!(below), false)));
                all.push((json!(u64::try_from(most).unwrap() + 1), false));
            }
            "number" => {
                let [least, most] = ["minimum", "maximum"].map(|name| schema[name].as_i64().unwrap());
                all.extend([(json!(least), true), (json!(most), true)]);
                all.extend([(json!(least - 1), false), (json!(most + 1), false)]);
            }
            "string" => {
                let least = schema["minLength"].as_u64().unwrap_or(0);
                let text = |length: u64| json!("界".repeat(usize::try_from(length).unwrap()));
                all.push((text(least), true));
                all.extend(least.checked_sub(1).map(|below| (text(below), false)));
                if let Some(most) = schema["maxLength"].as_u64() {
                    all.extend([(text(most), true), (text(most + 1), false)]);
                }
            }
            "array" if schema["minItems"].as_u64().is_some_and(|least| least > 0) => all.push((json!([]), false)),
            "boolean" => all.push((json!(true), true)),
            _ => {}
        }
    }
    all
}

fn is_read(endpoint: Endpoint, body: &Value) -> bool {
    let settings = default_settings();
    let bytes = serde_json::to_vec(body).unwrap();
    let body = Body::parse(&bytes).unwrap();
    let read = || {
        body.api_secret_key()?;
        let model = body.model(endpoint, &settings.models)?;
        let limits = settings.model_limits(&model);
        body.call(endpoint, Rules::OpenAi, model, &limits)
    };
    read().is_ok()
}

/// Calls `each` with every member of every object.
fn collect(value: &Value, each: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                each(name, value);
                collect(value, each);
            }
        }
        Value::Array(entries) => entries.iter().for_each(|entry| collect(entry, each)),
        _ => {}
    }
}
