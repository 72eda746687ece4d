//! The fields that several endpoints share.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::field::{Fault, any_object, at_most_characters, boolean, integer, is_list, is_string, must_be};
use super::field::{list, missing, number, object, optional, shown, string};
use super::provider;
use crate::blocked_users::{LONGEST_END_USER, recorded};
use crate::json_object::{Duplicates, Members};
use crate::refusal::Refusal;

const MOST_ANSWERS: i64 = 128;
const MOST_STOPS: usize = 4;
const MOST_TOOLS: usize = 512;
const INCLUDE_USAGE: &str = "include_usage";

/// What admission reads of the fields that both endpoints of text have.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) stream: bool,
    pub(super) include_usage: bool,
    /// The other members of `stream_options`.
    pub(super) stream_options: String,
    /// `n`.
    pub(super) answers: i64,
    pub(super) end_user: Option<String>,
}

impl Options {
    /// Reads and checks them.
    pub(super) fn read(members: &Members<'_>) -> Result<Self, Refusal> {
        for (name, low, high) in [
            ("temperature", 0.0, 2.0),
            ("top_p", 0.0, 1.0),
            ("presence_penalty", -2.0, 2.0),
            ("frequency_penalty", -2.0, 2.0),
        ] {
            optional(members, name, |value| number(value, low..=high))?;
        }
        optional(members, "seed", |value| integer(value, i64::MIN..=i64::MAX))?;
        check_stop(members)?;
        check_logit_bias(members)?;
        let stream = optional(members, "stream", boolean)?.unwrap_or(false);
        let (include_usage, stream_options) = stream_options(members, stream)?;
        Ok(Self {
            stream,
            include_usage,
            stream_options,
            answers: optional(members, "n", |value| integer(value, 1..=MOST_ANSWERS))?.unwrap_or(1),
            end_user: end_user(members)?,
        })
    }
}

/// `user`: the caller's own name for the end user, as it is recorded; the provider gets it as it came.
pub(super) fn end_user(members: &Members<'_>) -> Result<Option<String>, Refusal> {
    let user = optional(members, "user", |value| {
        let user = string(value)?;
        at_most_characters(&user, LONGEST_END_USER)?;
        Ok(user)
    })?;
    Ok(user.filter(|user| !user.is_empty()).map(|user| recorded(&user)))
}

/// Whether the usage is asked for, and what else is asked of the stream.
fn stream_options(members: &Members<'_>, stream: bool) -> Result<(bool, String), Refusal> {
    let options = optional(members, "stream_options", |value| {
        let options = Members::parse(any_object(value)?.get(), Duplicates::Refuse);
        let options = options.map_err(|_| Fault::invalid("must not hold a name twice"))?;
        if !stream {
            return Err(Fault::invalid("must be left out unless stream is true"));
        }
        Ok(options)
    })?;
    let Some(options) = options else { return Ok((false, String::new())) };
    let include_usage = options.get(INCLUDE_USAGE).map(boolean).transpose();
    let include_usage = include_usage.map_err(|fault| fault.at("stream_options.include_usage"))?;
    Ok((include_usage.unwrap_or(false), provider::all_but(&[INCLUDE_USAGE], &options)))
}

fn check_stop(members: &Members<'_>) -> Result<(), Refusal> {
    let stops = optional(members, "stop", |value| {
        if is_string(value) {
            return Ok(Vec::new());
        }
        let allowed = "null, a string, or an array of 1 to 4 strings";
        let stops = if is_list(value) { list(value)? } else { return Err(must_be(allowed, value)) };
        if stops.is_empty() || stops.len() > MOST_STOPS {
            return Err(Fault::invalid(format!("must be {allowed}, not an array of {}", stops.len())));
        }
        Ok(stops)
    })?;
    for (position, stop) in stops.unwrap_or_default().into_iter().enumerate() {
        string(stop).map_err(|fault| fault.at(format_args!("stop[{position}]")))?;
    }
    Ok(())
}

fn check_logit_bias(members: &Members<'_>) -> Result<(), Refusal> {
    let biases = optional(members, "logit_bias", |value| {
        let value = any_object(value)?;
        Members::parse(value.get(), Duplicates::Refuse)
            .map_err(|_| Fault::invalid("must name each token once, and no more than 1000 of them"))
    })?;
    for (token, bias) in biases.iter().flat_map(Members::iter) {
        number(bias, -100.0..=100.0).map_err(|fault| fault.at(format_args!("logit_bias.{}", shown(token))))?;
    }
    Ok(())
}

/// Checks what only chats have. None of it decides about money.
pub(super) fn check_chat(members: &Members<'_>) -> Result<(), Refusal> {
    for name in ["logprobs", "parallel_tool_calls"] {
        optional(members, name, boolean)?;
    }
    optional(members, "top_logprobs", |value| integer(value, 0..=20))?;
    for name in ["tool_choice", "function_call"] {
        optional(members, name, |value| match is_string(value) {
            true => Ok(value),
            false => any_object(value).map_err(|_| must_be("a string or an object", value)),
        })?;
    }
    for name in ["tools", "functions"] {
        check_objects(members, name)?;
    }
    check_response_format(members)
}

fn check_objects(members: &Members<'_>, name: &str) -> Result<(), Refusal> {
    let entries = optional(members, name, |value| {
        let entries = list(value)?;
        if entries.len() > MOST_TOOLS {
            return Err(Fault::invalid(format!("must have at most {MOST_TOOLS} entries, not {}", entries.len())));
        }
        Ok(entries)
    })?;
    for (position, entry) in entries.unwrap_or_default().into_iter().enumerate() {
        any_object(entry).map_err(|fault| fault.at(format_args!("{name}[{position}]")))?;
    }
    Ok(())
}

fn check_response_format(members: &Members<'_>) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    struct ResponseFormat<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<&'a RawValue>,
    }

    let Some(format) = optional(members, "response_format", object::<ResponseFormat<'_>>)? else { return Ok(()) };
    let param = "response_format.type";
    let kind = format.kind.ok_or_else(|| missing(param, "a string such as \"json_object\""))?;
    string(kind).map_err(|fault| fault.at(param))?;
    Ok(())
}
