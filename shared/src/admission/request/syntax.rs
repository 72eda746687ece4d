//! The words for a body that is not the JSON it should be: where, and what to mend.

use std::fmt;

use serde_json::Error;
use serde_json::error::Category;

use super::field::shown;
use crate::refusal::{Reason, Refusal};

/// A place in a text as an editor shows it, both from 1. Columns count characters, not bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    line: usize,
    column: usize,
}

impl Place {
    /// The place of a byte.
    pub(super) fn of(text: &[u8], offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        let in_line = before.iter().skip(line_start);
        Self {
            line: 1 + before.iter().filter(|byte| **byte == b'\n').count(),
            // The bytes 10xxxxxx go on with a character.
            column: 1 + in_line.filter(|byte| **byte & 0xC0 != 0x80).count(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {} column {}", self.line, self.column)
    }
}

/// The refusal of JSON that is wrong at `place`.
pub(super) fn invalid(what: impl fmt::Display, place: Place) -> Refusal {
    Refusal::new(Reason::InvalidJson, format!("the body is not valid JSON: {what} at {place}"))
}

/// The refusal of bytes that are no text from `offset` on.
pub(super) fn not_utf8(bytes: &[u8], offset: usize) -> Refusal {
    let message = format!("the body is not UTF-8 at {}; encode it as UTF-8", Place::of(bytes, offset));
    Refusal::new(Reason::InvalidJson, message)
}

/// The refusal of a text that could not be read as an object.
pub(super) fn not_an_object(text: &str, error: &Error) -> Refusal {
    let Some(first) = text.bytes().find(|byte| !is_space(*byte)) else {
        return Refusal::new(Reason::InvalidJson, "the body is empty; send a JSON object");
    };
    if text.starts_with('\u{FEFF}') {
        return invalid("there is a byte order mark, which is to be left out,", Place::of(text.as_bytes(), 0));
    }
    let offset = offset_of(text, error);
    let place = Place::of(text.as_bytes(), offset);
    match error.classify() {
        Category::Data if first != b'{' => Refusal::new(
            Reason::InvalidJson,
            format!("the body must be a JSON object, {{...}}, but begins with something else at {place}"),
        ),
        Category::Data => invalid(data_words(error), place),
        Category::Eof => invalid("it ends too early,", place),
        Category::Syntax | Category::Io => syntax_error(text, offset, error),
    }
}

fn syntax_error(text: &str, offset: usize, error: &Error) -> Refusal {
    let bytes = text.as_bytes();
    let place = Place::of(bytes, offset);
    let found = bytes.get(offset).copied().unwrap_or_default();
    let before = bytes.get(..offset).unwrap_or_default().iter().rposition(|byte| !is_space(*byte));
    if let (b'}' | b']', Some(comma)) = (found, before)
        && bytes.get(comma) == Some(&b',')
    {
        let comma = Place::of(bytes, comma);
        let closing = char::from(found);
        let what = format!("trailing comma; remove the comma of {comma}, which stands before the closing {closing}");
        return invalid(what, place);
    }
    if found == b'\'' {
        return invalid("names and strings stand in double quotes (\"), not in single ones ('),", place);
    }
    invalid(without_place(error), place)
}

/// What `Members` says about an object that is JSON.
fn data_words(error: &Error) -> String {
    let words = without_place(error);
    // A name is the caller's text: not more than a little of it is repeated.
    let name = words.strip_prefix("the name \"").and_then(|rest| rest.strip_suffix("\" comes twice"));
    match name {
        Some(name) => format!("the name \"{}\" comes twice", shown(name)),
        None => words,
    }
}

fn without_place(error: &Error) -> String {
    let words = error.to_string();
    words.rfind(" at line ").and_then(|end| words.get(..end)).unwrap_or(&words).to_owned()
}

/// Where serde_json stopped; its columns count bytes, from 1.
fn offset_of(text: &str, error: &Error) -> usize {
    let line_start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    (line_start + error.column().saturating_sub(1)).min(text.len())
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::start("", 0, 1, 1)]
    #[case::first_line("ab", 1, 1, 2)]
    #[case::after_a_newline("a\nb", 2, 2, 1)]
    #[case::characters_not_bytes("a\n你好x", 8, 2, 3)]
    #[case::behind_the_end("a\n", 9, 2, 1)]
    fn places(#[case] text: &str, #[case] offset: usize, #[case] line: usize, #[case] column: usize) {
        assert_eq!(Place::of(text.as_bytes(), offset), Place { line, column });
    }
}
