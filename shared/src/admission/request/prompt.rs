//! The prompts of `completions` and the input of `embeddings`: text or tokens, one or many.

use serde_json::value::RawValue;

use super::field::{Fault, integer, is_list, is_string, list, must_be, string};
use crate::refusal::Refusal;
use crate::tokens::Tally;

/// The prompt of a call that has none: the start of a new document.
pub(super) const NO_PROMPT: &str = "<|endoftext|>";
/// What such a field may hold.
pub(super) const ALLOWED: &str = "a string, an array of strings, an array of tokens or an array of token arrays";

const HIGHEST_TOKEN: i64 = 1 << 31;

/// `prompt` of `completions`.
pub(super) const PROMPT: Field = Field { name: "prompt", most: 128, plural: "prompts", may_be_empty: true };
/// `input` of `embeddings`.
pub(super) const INPUT: Field = Field { name: "input", most: 2_048, plural: "inputs", may_be_empty: false };

/// Where prompts stand.
#[derive(Debug)]
pub(super) struct Field {
    name: &'static str,
    /// How many at most.
    most: usize,
    plural: &'static str,
    /// Whether a text may be.
    may_be_empty: bool,
}

/// The prompts of one call.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Prompts {
    /// Each prompt's text. What text tokens stand for is not known, so that it is empty then.
    pub(super) texts: Vec<String>,
    /// What they count.
    pub(super) tally: Tally,
}

impl Prompts {
    /// One text.
    pub(super) fn of(text: &str) -> Self {
        let mut prompts = Self::default();
        prompts.push(text);
        prompts
    }

    /// Reads what stands in the field.
    pub(super) fn read(field: &Field, value: &RawValue) -> Result<Self, Refusal> {
        let mut prompts = Self::default();
        if is_string(value) {
            prompts.add_text(field, value).map_err(|fault| fault.at(field.name))?;
        } else if is_list(value) {
            prompts.add_list(field, value)?;
        } else {
            return Err(must_be(ALLOWED, value).at(field.name));
        }
        Ok(prompts)
    }

    fn add_list(&mut self, field: &Field, value: &RawValue) -> Result<(), Refusal> {
        let Field { name, most, plural, .. } = field;
        let entries = list(value).map_err(|fault| fault.at(name))?;
        let Some(first) = entries.first() else {
            return Err(Fault::invalid("must not be an empty array").at(name));
        };
        if !is_string(first) && !is_list(first) {
            return self.add_tokens(&entries, name);
        }
        if entries.len() > *most {
            let words = format!("must have at most {most} {plural}, not {}", entries.len());
            return Err(Fault::invalid(words).at(name));
        }
        for (position, entry) in entries.iter().enumerate() {
            let path = format!("{name}[{position}]");
            if is_string(first) {
                self.add_text(field, entry).map_err(|fault| fault.at(path))?;
            } else {
                let tokens = list(entry).map_err(|fault| fault.at(&path))?;
                self.add_tokens(&tokens, &path)?;
            }
        }
        Ok(())
    }

    fn add_tokens(&mut self, tokens: &[&RawValue], path: &str) -> Result<(), Refusal> {
        if tokens.is_empty() {
            return Err(Fault::invalid("must not be an empty array").at(path));
        }
        for (position, token) in tokens.iter().enumerate() {
            integer(token, 0..=HIGHEST_TOKEN).map_err(|fault| fault.at(format_args!("{path}[{position}]")))?;
        }
        self.texts.push(String::new());
        self.tally.add_tokens(i64::try_from(tokens.len()).unwrap_or(i64::MAX));
        Ok(())
    }

    fn add_text(&mut self, field: &Field, value: &RawValue) -> Result<(), Fault> {
        let text = string(value)?;
        if text.is_empty() && !field.may_be_empty {
            return Err(must_be("a text", value));
        }
        self.push(&text);
        Ok(())
    }

    fn push(&mut self, text: &str) {
        self.tally.add_text(text);
        self.texts.push(text.to_owned());
    }
}
