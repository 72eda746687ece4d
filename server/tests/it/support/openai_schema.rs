//! OpenAI's published description of its API (`tests/data/openai-openapi-extract.json`), against which replies are held.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Value, json};

const PUBLISHED: &str = include_str!("../../data/openai-openapi-extract.json");

static COMPONENTS: LazyLock<Value> = LazyLock::new(|| {
    let mut published: Value = serde_json::from_str(PUBLISHED).expect("JSON");
    let mut components = published["components"].take();
    allow_null(&mut components);
    let finish_reason = "/schemas/CreateCompletionResponse/properties/choices/items/properties/finish_reason";
    let finish_reason = components.pointer(finish_reason).expect("the reason").clone();
    // The chunks of a streamed completion have no description of their own, and OpenAI sends null in them until the last one.
    let mut chunk = components["schemas"]["CreateCompletionResponse"].clone();
    chunk["properties"]["choices"]["items"]["properties"]["finish_reason"] = or_null(finish_reason);
    chunk["properties"]["usage"] = or_null(chunk["properties"]["usage"].clone());
    components["schemas"]["CompletionChunk"] = chunk;
    components
});

/// One schema of the description.
pub(crate) struct Schema {
    name: &'static str,
    validator: Validator,
}

impl Schema {
    /// The schema of this name.
    pub(crate) fn named(name: &'static str) -> Self {
        assert!(COMPONENTS["schemas"][name].is_object(), "there is no schema {name}");
        let schema = json!({"$ref": format!("#/components/schemas/{name}"), "components": *COMPONENTS});
        Self { name, validator: jsonschema::validator_for(&schema).expect("a schema") }
    }

    /// Checks a chunk of a stream.
    #[track_caller]
    pub(crate) fn check(&self, value: &Value) {
        let faults: Vec<String> =
            self.validator.iter_errors(value).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
        assert!(faults.is_empty(), "not {}:\n{}\nin {value}", self.name, faults.join("\n"));
    }

    /// Checks a whole reply, which has the original service's two fields in front.
    #[track_caller]
    pub(crate) fn check_reply(&self, reply: &Value) {
        let mut reply = reply.clone();
        let members = reply.as_object_mut().expect("an object");
        let front: Vec<&str> = members.keys().take(2).map(String::as_str).collect();
        assert_eq!(front, ["code", "msg"], "{members:?}");
        assert!(members["code"].is_u64() && members["msg"].is_string(), "{members:?}");
        members.retain(|name, _| name != "code" && name != "msg");
        self.check(&reply);
    }
}

fn or_null(schema: Value) -> Value {
    json!({"anyOf": [schema, {"type": "null"}]})
}

/// Some of the description still says `nullable`, a word of older versions of OpenAPI.
fn allow_null(schema: &mut Value) {
    match schema {
        Value::Array(schemas) => schemas.iter_mut().for_each(allow_null),
        Value::Object(members) => {
            members.values_mut().for_each(allow_null);
            if members.remove("nullable") == Some(Value::Bool(true)) {
                *schema = or_null(schema.take());
            }
        }
        _ => {}
    }
}

#[test]
fn a_wrong_reply_is_found() {
    let schema = Schema::named("CreateCompletionResponse");
    let good = json!({
        "id": "a", "object": "text_completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "text": "", "logprobs": null, "finish_reason": "stop"}],
    });
    schema.check(&good);
    for (pointer, wrong) in [
        ("/object", json!("chat")),
        ("/created", json!("1")),
        ("/choices/0/finish_reason", Value::Null),
        ("/id", Value::Null),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).expect("a member") = wrong;
        assert!(!schema.validator.is_valid(&bad), "{bad}");
    }
    assert!(!Schema::named("ErrorResponse").validator.is_valid(&json!({"error": {"message": "a", "type": "b"}})));
}
