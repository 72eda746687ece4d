//! The original service's rules on the messages of a chat: user and assistant in turn, and a memory of 2000 characters.

use serde_json::value::RawValue;

use super::field::{Fault, list, shown};
use super::message::{self, Counter, required_string};
use crate::refusal::{Reason, Refusal};
use crate::tokens::Tally;

/// In Unicode scalar values: the length of the last content, and of all contents together.
const MOST_CHARACTERS: usize = 2_000;
const TURNS: [&str; 2] = ["user", "assistant"];

/// What is sent of a chat.
#[derive(Debug)]
pub(super) struct Kept {
    /// What it counts.
    pub(super) prompt: Tally,
    /// The array without the rounds that were forgotten; `None` when all are sent.
    pub(super) rewritten: Option<String>,
}

/// Checks `messages` and forgets the earliest rounds of one that is too long.
///
/// # Errors
/// [`Reason::InvalidMessages`] and [`Reason::ContentTooLong`] for these rules, others where a message is no message at all.
pub(super) fn read(messages: &RawValue, part_tokens: i64) -> Result<Kept, Refusal> {
    let messages = list(messages).map_err(|fault| fault.at("messages"))?;
    let lengths = lengths(&messages)?;
    let forgotten = forgotten(&lengths);
    let remaining = messages.get(forgotten..).unwrap_or_default();
    let mut counter = Counter::new(part_tokens);
    for (offset, message) in remaining.iter().enumerate() {
        counter.add(forgotten + offset, message)?;
    }
    let rewritten = (forgotten > 0).then(|| {
        let remaining: Vec<&str> = remaining.iter().map(|message| message.get()).collect();
        format!("[{}]", remaining.join(","))
    });
    Ok(Kept { prompt: counter.tally, rewritten })
}

/// How many messages are forgotten: the earliest rounds, a question and its answer each, until the rest fits.
fn forgotten(lengths: &[usize]) -> usize {
    let mut total: usize = lengths.iter().sum();
    let mut forgotten = 0;
    // The last message alone fits, so that it is never forgotten.
    for round in lengths.chunks_exact(2) {
        if total <= MOST_CHARACTERS {
            break;
        }
        total -= round.iter().sum::<usize>();
        forgotten += round.len();
    }
    forgotten
}

/// The lengths of all contents, once every rule is met.
fn lengths(messages: &[&RawValue]) -> Result<Vec<usize>, Refusal> {
    let mut turns = Vec::with_capacity(messages.len());
    for (index, message) in messages.iter().enumerate() {
        let message = message::read(index, message)?;
        let role = required_string(message.role, format_args!("messages[{index}].role"))?;
        let content = required_string(message.content, format_args!("messages[{index}].content"))?;
        turns.push((role, content.chars().count()));
    }
    if turns.len().is_multiple_of(2) {
        let words = match turns.len() {
            0 => "must not be empty: send at least one message".to_owned(),
            even => format!(
                "must be an odd number of messages, not {even}: user, assistant, user and so on, with the question last"
            ),
        };
        return Err(Fault::new(Reason::InvalidMessages, words).at("messages"));
    }
    for (index, ((role, length), expected)) in turns.iter().zip(TURNS.iter().cycle()).enumerate() {
        if role != expected {
            let words = format!(
                "must be \"{expected}\", not \"{}\": user and assistant speak in turn (other roles are for calls with the Secret Key in \
                 the Authorization header)",
                shown(role)
            );
            return Err(Fault::new(Reason::InvalidMessages, words).at(format_args!("messages[{index}].role")));
        }
        if *length == 0 {
            let fault = Fault::new(Reason::InvalidMessages, "must not be empty");
            return Err(fault.at(format_args!("messages[{index}].content")));
        }
    }
    let lengths: Vec<usize> = turns.into_iter().map(|(_, length)| length).collect();
    match lengths.last() {
        Some(last) if *last > MOST_CHARACTERS => {
            let words = format!("must have at most {MOST_CHARACTERS} characters, not {last}, in the last message");
            Err(Fault::new(Reason::ContentTooLong, words).at(format_args!("messages[{}].content", lengths.len() - 1)))
        }
        _ => Ok(lengths),
    }
}
