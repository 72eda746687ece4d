//! Reading one value, and saying what is wrong with it: what is allowed, and what was found instead.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::ops::RangeInclusive;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json_object::{Members, parse_list, text};
use crate::refusal::{Reason, Refusal};

/// How many characters of a caller's text a message repeats at most.
const MOST_SHOWN: usize = 50;
/// Secret Keys begin with it, ours and those of most providers.
const SECRET_MARK: &str = "sk-";
/// No list that a call may hold is longer; most bodies end before.
const MOST_ENTRIES: usize = 1_000_000;

/// What is wrong with a value, before it is said where the value stands.
#[derive(Debug)]
pub(super) struct Fault {
    reason: Reason,
    /// Follows the field's name: `must be a string, not 5`.
    words: String,
}

impl Fault {
    /// A wrong type or a value out of range.
    pub(super) fn invalid(words: impl Into<String>) -> Self {
        Self { reason: Reason::InvalidParameter, words: words.into() }
    }

    /// A fault with a reason of its own.
    pub(super) fn new(reason: Reason, words: impl Into<String>) -> Self {
        Self { reason, words: words.into() }
    }

    /// The refusal of the field `param`.
    pub(super) fn at(self, param: impl Display) -> Refusal {
        let message = format!("{param} {}", self.words);
        Refusal::of_field(self.reason, param.to_string(), message)
    }
}

/// The fault of a value that is not what is `allowed`.
pub(super) fn must_be(allowed: impl Display, value: &RawValue) -> Fault {
    Fault::invalid(format!("must be {allowed}, not {}", Found(value)))
}

/// The refusal of a call without the field `param`, which should be `allowed`.
pub(super) fn missing(param: impl Display, allowed: impl Display) -> Refusal {
    Refusal::of_field(Reason::MissingParameter, param.to_string(), format!("{param} is required: {allowed}"))
}

/// What stands in a field that may be left out or `null`.
pub(super) fn optional<'a, T>(
    members: &Members<'a>,
    name: &str,
    read: impl FnOnce(&'a RawValue) -> Result<T, Fault>,
) -> Result<Option<T>, Refusal> {
    members.get(name).map(read).transpose().map_err(|fault| fault.at(name))
}

/// A string.
pub(super) fn string(value: &RawValue) -> Result<Cow<'_, str>, Fault> {
    text(value).ok_or_else(|| must_be("a string", value))
}

/// One of a few strings.
pub(super) fn one_of<'a>(value: &'a RawValue, allowed: &[impl AsRef<str>]) -> Result<Cow<'a, str>, Fault> {
    match text(value) {
        Some(found) if allowed.iter().any(|each| each.as_ref() == found) => Ok(found),
        _ => {
            let names: Vec<String> = allowed.iter().map(|each| format!("\"{}\"", each.as_ref())).collect();
            let one_of = if names.len() == 1 { "" } else { "one of " };
            Err(must_be(format_args!("{one_of}{}", names.join(", ")), value))
        }
    }
}

/// Refuses a text of more than `most` characters (Unicode scalar values).
pub(super) fn at_most_characters(text: &str, most: usize) -> Result<(), Fault> {
    let characters = text.chars().count();
    if characters > most {
        return Err(Fault::invalid(format!("must have at most {most} characters, not {characters}")));
    }
    Ok(())
}

/// `true` or `false`.
pub(super) fn boolean(value: &RawValue) -> Result<bool, Fault> {
    match value.get() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(must_be("true or false", value)),
    }
}

/// A whole number, written as one: `16`, not `16.0`.
pub(super) fn integer(value: &RawValue, range: RangeInclusive<i64>) -> Result<i64, Fault> {
    if let Ok(number) = value.get().parse()
        && range.contains(&number)
    {
        return Ok(number);
    }
    let (low, high) = range.into_inner();
    let plainly = if is_number(value) { " in plain digits" } else { "" };
    Err(match (low, high) {
        (i64::MIN, i64::MAX) => must_be(format_args!("a whole number of 64 bits{plainly}"), value),
        (_, i64::MAX) => must_be(format_args!("a whole number of at least {low}{plainly}"), value),
        _ => must_be(format_args!("a whole number from {low} to {high}{plainly}"), value),
    })
}

/// A number within a range.
pub(super) fn number(value: &RawValue, range: RangeInclusive<f64>) -> Result<(), Fault> {
    // What is too large for a float becomes infinite here, and so is out of every range.
    let is_within = is_number(value) && value.get().parse().is_ok_and(|number: f64| range.contains(&number));
    if is_within {
        return Ok(());
    }
    Err(must_be(format_args!("a number from {} to {}", range.start(), range.end()), value))
}

/// The entries of an array.
pub(super) fn list(value: &RawValue) -> Result<Vec<&RawValue>, Fault> {
    if !value.get().starts_with('[') {
        return Err(must_be("an array", value));
    }
    parse_list(value, MOST_ENTRIES).map_err(|_| Fault::invalid(format!("must have at most {MOST_ENTRIES} entries")))
}

/// An object, whatever is in it.
pub(super) fn any_object(value: &RawValue) -> Result<&RawValue, Fault> {
    if is_object(value) { Ok(value) } else { Err(must_be("an object", value)) }
}

/// An object of which some members are read and the others are not looked at.
pub(super) fn object<'a, T: Deserialize<'a>>(value: &'a RawValue) -> Result<T, Fault> {
    let value = any_object(value)?;
    // The members that are read are raw values, so that nothing but a name that comes twice can be wrong here.
    serde_json::from_str(value.get()).map_err(|_| Fault::invalid("must not hold a name twice"))
}

/// Whether the value is an object.
pub(super) fn is_object(value: &RawValue) -> bool {
    value.get().starts_with('{')
}

/// Whether the value is a string.
pub(super) fn is_string(value: &RawValue) -> bool {
    value.get().starts_with('"')
}

/// Whether the value is an array.
pub(super) fn is_list(value: &RawValue) -> bool {
    value.get().starts_with('[')
}

fn is_number(value: &RawValue) -> bool {
    value.get().starts_with(|character: char| character == '-' || character.is_ascii_digit())
}

/// A little of a caller's text, fit for a message. What looks like a Secret Key is not shown at all.
pub(super) fn shown(text: &str) -> String {
    if text.contains(SECRET_MARK) {
        return "***".to_owned();
    }
    let mut shown: String =
        text.chars().map(|character| if character.is_control() { ' ' } else { character }).take(MOST_SHOWN).collect();
    if text.chars().nth(MOST_SHOWN).is_some() {
        shown.push_str("...");
    }
    shown
}

/// What a caller sent, in a few words.
struct Found<'a>(&'a RawValue);

impl Display for Found<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.get() {
            "true" | "false" | "null" => formatter.write_str(self.0.get()),
            "\"\"" => formatter.write_str("an empty string"),
            raw if raw.starts_with('{') => formatter.write_str("an object"),
            raw if raw.starts_with('[') => formatter.write_str("an array"),
            raw if raw.starts_with('"') => match text(self.0) {
                Some(text) => write!(formatter, "\"{}\"", shown(&text)),
                None => formatter.write_str("this string"),
            },
            raw => formatter.write_str(&shown(raw)),
        }
    }
}
