//! What all tests of bodies use: one endpoint's rules put to one body.

mod chat;
mod completion;
mod embeddings;
mod image;
mod malformed;
mod moderation;
mod options;
mod original;
mod properties;
mod samples;

use super::*;
use crate::config::{ModelLimits, ModelsSettings};
use crate::refusal::{Reason, Refusal};

fn models() -> ModelsSettings {
    ModelsSettings {
        known: Vec::new(),
        chat_default: "gpt-3.5".to_owned(),
        image_default: "dall-e-3".to_owned(),
        moderation_default: "omni-moderation-latest".to_owned(),
        max_output: 4096,
        hold_factor: 2,
        part_tokens: 300,
        image_sizes: limits().image_sizes,
    }
}

fn limits() -> ModelLimits {
    let image_sizes = ["256x256", "512x512", "1024x1024"].map(str::to_owned).to_vec();
    ModelLimits { max_output: 4096, hold_factor: 2, part_tokens: 300, image_sizes }
}

/// Reads a body as the API does.
fn read(endpoint: Endpoint, rules: Rules, body: &str) -> Result<CallRequest, Refusal> {
    let body = Body::parse(body.as_bytes())?;
    body.api_secret_key()?;
    let model = body.model(endpoint, &models())?;
    body.call(endpoint, rules, model, &limits())
}

/// A chat by OpenAI's rules that holds these members besides one message.
fn chat_with(members: &str) -> Result<CallRequest, Refusal> {
    read(Endpoint::Chat, Rules::OpenAi, &format!(r#"{{"messages":[{{"role":"user","content":"hi"}}],{members}}}"#))
}

/// A chat by OpenAI's rules with these messages.
fn chat_of(messages: &str) -> Result<CallRequest, Refusal> {
    read(Endpoint::Chat, Rules::OpenAi, &format!(r#"{{"messages":{messages}}}"#))
}

/// A completion with these members besides the model.
fn completion_with(members: &str) -> Result<CallRequest, Refusal> {
    read(Endpoint::Completions, Rules::OpenAi, &format!(r#"{{"model":"m",{members}}}"#))
}

/// Asserts the reason and the field of a refusal, and that its message speaks of that field.
#[track_caller]
fn assert_refused(answer: Result<CallRequest, Refusal>, reason: Reason, param: &str) {
    let refusal = answer.expect_err("this must be refused");
    assert_eq!((refusal.reason, refusal.param.as_deref()), (reason, Some(param)), "{}", refusal.message);
    assert!(refusal.message.starts_with(&format!("{param} ")), "{}", refusal.message);
    assert!(refusal.message.len() > param.len() + 5, "{}", refusal.message);
}
