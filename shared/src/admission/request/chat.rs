//! `chat/completions`.

use serde_json::value::RawValue;

use super::field::{Fault, integer, list, missing, optional};
use super::message::Counter;
use super::options::{self, Options};
use super::{CallRequest, Rules, compact, original, provider};
use crate::config::ModelLimits;
use crate::json_object::Members;
use crate::queue::Endpoint;
use crate::refusal::Refusal;
use crate::tokens::Tally;

/// Reads a chat.
pub(super) fn read(
    members: &Members<'_>,
    rules: Rules,
    model: String,
    limits: &ModelLimits,
) -> Result<CallRequest, Refusal> {
    let messages = members.get("messages").ok_or_else(|| {
        missing("messages", "an array of messages such as {\"role\":\"user\",\"content\":\"...\"}, the newest last")
    })?;
    let (mut prompt, rewritten) = match rules {
        Rules::OpenAi => (count(messages, limits.part_tokens)?, Vec::new()),
        Rules::Original => {
            let kept = original::read(messages, limits.part_tokens)?;
            (kept.prompt, kept.rewritten.map(|json| ("messages", json)).into_iter().collect())
        }
    };
    let options = Options::read(members)?;
    options::check_chat(members)?;
    for name in ["tools", "functions", "response_format"] {
        if let Some(value) = members.get(name) {
            prompt.add_count(compact::count(value));
        }
    }
    Ok(CallRequest {
        endpoint: Endpoint::Chat,
        model,
        fields: provider::fields(members, &rewritten),
        stream: options.stream,
        include_usage: options.include_usage,
        stream_options: options.stream_options,
        choices: options.answers,
        candidates: options.answers,
        max_output: max_output(members)?,
        prompt,
        echoed_prompts: Vec::new(),
        images: None,
        end_user: options.end_user,
    })
}

fn count(messages: &RawValue, part_tokens: i64) -> Result<Tally, Refusal> {
    let messages = list(messages).map_err(|fault| fault.at("messages"))?;
    if messages.is_empty() {
        return Err(Fault::invalid("must not be empty: send at least one message").at("messages"));
    }
    let mut counter = Counter::new(part_tokens);
    for (index, message) in messages.into_iter().enumerate() {
        counter.add(index, message)?;
    }
    Ok(counter.tally)
}

/// The larger of the two, since a provider may know only one of the names.
fn max_output(members: &Members<'_>) -> Result<Option<i64>, Refusal> {
    let older = optional(members, "max_tokens", |value| integer(value, 1..=i64::MAX))?;
    let newer = optional(members, "max_completion_tokens", |value| integer(value, 1..=i64::MAX))?;
    Ok(newer.max(older))
}
