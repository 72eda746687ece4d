//! `embeddings`.

use super::field::{integer, missing, one_of, optional};
use super::prompt::{self, Prompts};
use super::{CallRequest, options, provider};
use crate::json_object::Members;
use crate::queue::Endpoint;
use crate::refusal::Refusal;

const ENCODING_FORMATS: [&str; 2] = ["float", "base64"];

/// Reads texts, or tokens, to embed.
pub(super) fn read(members: &Members<'_>, model: String) -> Result<CallRequest, Refusal> {
    let input = members.get("input").ok_or_else(|| missing("input", prompt::ALLOWED))?;
    let Prompts { texts, tally } = Prompts::read(&prompt::INPUT, input)?;
    optional(members, "encoding_format", |value| one_of(value, &ENCODING_FORMATS))?;
    optional(members, "dimensions", |value| integer(value, 1..=i64::MAX))?;
    Ok(CallRequest {
        endpoint: Endpoint::Embeddings,
        model,
        fields: provider::unstreamed_fields(members),
        stream: false,
        include_usage: false,
        stream_options: String::new(),
        choices: i64::try_from(texts.len()).unwrap_or(i64::MAX),
        candidates: 0,
        max_output: None,
        prompt: tally,
        echoed_prompts: Vec::new(),
        images: None,
        end_user: options::end_user(members)?,
    })
}
