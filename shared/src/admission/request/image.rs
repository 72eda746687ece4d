//! `images/generations`.

use super::field::{Fault, boolean, integer, missing, must_be, one_of, optional, string};
use super::{CallRequest, options, provider};
use crate::config::ModelLimits;
use crate::json_object::Members;
use crate::queue::{Endpoint, ImageOrder};
use crate::refusal::{Reason, Refusal};
use crate::tokens::Tally;

/// In Unicode scalar values.
const LONGEST_PROMPT: usize = 1_000;
const MOST_IMAGES: i64 = 10;
const USUAL_SIZE: &str = "1024x1024";
const RESPONSE_FORMATS: [&str; 2] = ["url", "b64_json"];

/// Reads an order of images.
pub(super) fn read(members: &Members<'_>, model: String, limits: &ModelLimits) -> Result<CallRequest, Refusal> {
    let prompt = prompt(members)?;
    let count = optional(members, "n", |value| integer(value, 1..=MOST_IMAGES))?.unwrap_or(1);
    let asked_size = optional(members, "size", |value| one_of(value, &limits.image_sizes))?;
    optional(members, "response_format", |value| one_of(value, &RESPONSE_FORMATS))?;
    optional(members, "stream", |value| match boolean(value)? {
        true => Err(Fault::invalid("must be false or left out: images are not streamed")),
        false => Ok(()),
    })?;
    // The price goes by the size, so it is not left to the provider.
    let (size, rewritten) = match asked_size {
        Some(size) => (size.into_owned(), Vec::new()),
        None => {
            let size = usual_size(limits);
            let json = serde_json::Value::from(size).to_string();
            (size.to_owned(), vec![("size", json)])
        }
    };
    Ok(CallRequest {
        endpoint: Endpoint::Images,
        model,
        fields: provider::fields(members, &rewritten),
        stream: false,
        include_usage: false,
        stream_options: String::new(),
        choices: count,
        candidates: count,
        max_output: None,
        prompt,
        echoed_prompts: Vec::new(),
        images: Some(ImageOrder { count, size }),
        end_user: options::end_user(members)?,
    })
}

fn prompt(members: &Members<'_>) -> Result<Tally, Refusal> {
    let prompt = optional(members, "prompt", |value| {
        let prompt = string(value)?;
        if prompt.is_empty() {
            return Err(must_be("a description of the images", value));
        }
        let characters = prompt.chars().count();
        if characters > LONGEST_PROMPT {
            let words = format!("must have at most {LONGEST_PROMPT} characters, not {characters}");
            return Err(Fault::new(Reason::ContentTooLong, words));
        }
        Ok(prompt)
    })?;
    let prompt = prompt.ok_or_else(|| missing("prompt", "a description of the images as a string"))?;
    let mut tally = Tally::default();
    tally.add_text(&prompt);
    Ok(tally)
}

fn usual_size(limits: &ModelLimits) -> &str {
    let mut sizes = limits.image_sizes.iter().map(String::as_str);
    sizes.find(|size| *size == USUAL_SIZE).or(limits.image_sizes.first().map(String::as_str)).unwrap_or(USUAL_SIZE)
}
