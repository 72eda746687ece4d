//! `moderations`.

use serde_json::value::RawValue;

use super::field::{Fault, is_list, is_object, is_string, list, missing, must_be, string};
use super::message::Counter;
use super::{CallRequest, options, provider};
use crate::config::ModelLimits;
use crate::json_object::Members;
use crate::queue::Endpoint;
use crate::refusal::Refusal;
use crate::tokens::Tally;

const MOST_INPUTS: usize = 2_048;
const ALLOWED: &str = "a string, an array of strings or an array of parts such as {\"type\":\"text\",\"text\":\"...\"}";

/// Reads what is to be judged.
pub(super) fn read(members: &Members<'_>, model: String, limits: &ModelLimits) -> Result<CallRequest, Refusal> {
    let input = members.get("input").ok_or_else(|| missing("input", ALLOWED))?;
    let Input { results, prompt } = Input::read(input, limits.part_tokens)?;
    Ok(CallRequest {
        endpoint: Endpoint::Moderations,
        model,
        fields: provider::unstreamed_fields(members),
        stream: false,
        include_usage: false,
        stream_options: String::new(),
        choices: results,
        candidates: 0,
        max_output: None,
        prompt,
        echoed_prompts: Vec::new(),
        images: None,
        end_user: options::end_user(members)?,
    })
}

struct Input {
    /// How many judgements the reply holds: one a string, or one for all parts together.
    results: i64,
    prompt: Tally,
}

impl Input {
    fn read(value: &RawValue, part_tokens: i64) -> Result<Self, Refusal> {
        let mut prompt = Tally::default();
        if is_string(value) {
            prompt.add_text(&not_empty(value).map_err(|fault| fault.at("input"))?);
            return Ok(Self { results: 1, prompt });
        }
        if !is_list(value) {
            return Err(must_be(ALLOWED, value).at("input"));
        }
        let entries = list(value).map_err(|fault| fault.at("input"))?;
        let has_parts = match entries.first() {
            Some(first) => is_object(first),
            None => return Err(Fault::invalid("must not be an empty array").at("input")),
        };
        if entries.len() > MOST_INPUTS {
            let words = format!("must have at most {MOST_INPUTS} entries, not {}", entries.len());
            return Err(Fault::invalid(words).at("input"));
        }
        if has_parts {
            let mut counter = Counter::new(part_tokens);
            for (position, part) in entries.into_iter().enumerate() {
                counter.add_part(part, format_args!("input[{position}]"))?;
            }
            return Ok(Self { results: 1, prompt: counter.tally });
        }
        for (position, text) in entries.iter().enumerate() {
            prompt.add_text(&not_empty(text).map_err(|fault| fault.at(format_args!("input[{position}]")))?);
        }
        Ok(Self { results: i64::try_from(entries.len()).unwrap_or(i64::MAX), prompt })
    }
}

fn not_empty(value: &RawValue) -> Result<std::borrow::Cow<'_, str>, Fault> {
    let text = string(value)?;
    if text.is_empty() { Err(must_be("a text", value)) } else { Ok(text) }
}
