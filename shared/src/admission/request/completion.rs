//! `completions`.

use super::field::{Fault, boolean, integer, optional, string};
use super::options::Options;
use super::prompt::{NO_PROMPT, PROMPT, Prompts};
use super::{CallRequest, provider};
use crate::json_object::Members;
use crate::queue::Endpoint;
use crate::refusal::Refusal;

/// `max_tokens` of a call that does not say it (the original document's table).
const USUAL_MAX_TOKENS: i64 = 16;
const MOST_CANDIDATES: i64 = 20;
const MOST_LOGPROBS: i64 = 5;

/// Reads a completion.
pub(super) fn read(members: &Members<'_>, model: String) -> Result<CallRequest, Refusal> {
    let prompts = members.get("prompt").map(|value| Prompts::read(&PROMPT, value)).transpose()?;
    let Prompts { texts, mut tally } = prompts.unwrap_or_else(|| Prompts::of(NO_PROMPT));
    if let Some(suffix) = optional(members, "suffix", string)? {
        tally.add_text(&suffix);
    }
    let options = Options::read(members)?;
    let max_tokens = optional(members, "max_tokens", |value| integer(value, 0..=i64::MAX))?;
    optional(members, "logprobs", |value| integer(value, 0..=MOST_LOGPROBS))?;
    let has_echo = optional(members, "echo", boolean)?.unwrap_or(false);
    let candidates = candidates(members, &options)?;
    let prompts = i64::try_from(texts.len()).unwrap_or(i64::MAX);
    let mut rewritten = Vec::new();
    if members.get("prompt").is_none() {
        rewritten.push(("prompt", format!("\"{NO_PROMPT}\"")));
    }
    if max_tokens.is_none() {
        // Said aloud, because the hold covers no more and a provider may have another default.
        rewritten.push(("max_tokens", USUAL_MAX_TOKENS.to_string()));
    }
    Ok(CallRequest {
        endpoint: Endpoint::Completions,
        model,
        fields: provider::fields(members, &rewritten),
        stream: options.stream,
        include_usage: options.include_usage,
        stream_options: options.stream_options,
        choices: options.answers.saturating_mul(prompts),
        candidates: candidates.saturating_mul(prompts),
        max_output: Some(max_tokens.unwrap_or(USUAL_MAX_TOKENS)),
        prompt: tally,
        echoed_prompts: if has_echo { texts } else { Vec::new() },
        images: None,
        end_user: options.end_user,
    })
}

/// How many answers are generated for each prompt: `best_of`, of which the best `n` are returned.
fn candidates(members: &Members<'_>, options: &Options) -> Result<i64, Refusal> {
    let best_of = optional(members, "best_of", |value| {
        let best_of = integer(value, 1..=MOST_CANDIDATES)?;
        if best_of < options.answers {
            return Err(Fault::invalid(format!("must be at least n, which is {}, not {best_of}", options.answers)));
        }
        if best_of > 1 && options.stream {
            return Err(Fault::invalid("must be 1 or left out when stream is true: the best is known only at the end"));
        }
        Ok(best_of)
    })?;
    Ok(best_of.unwrap_or(options.answers))
}
