//! The prompts of `completions`: text or tokens, one or many.

use serde_json::value::RawValue;

use super::field::{Fault, integer, is_list, is_string, list, must_be, string};
use crate::refusal::Refusal;
use crate::tokens::Tally;

/// The prompt of a call that has none: the start of a new document.
pub(super) const NO_PROMPT: &str = "<|endoftext|>";

const MOST_PROMPTS: usize = 128;
const HIGHEST_TOKEN: i64 = 1 << 31;
const ALLOWED: &str = "a string, an array of strings, an array of tokens or an array of token arrays";

/// The prompts of one call.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Prompts {
    /// Each prompt's text. What text tokens stand for is not known, so that it is empty then.
    pub(super) texts: Vec<String>,
    /// What they count.
    pub(super) tally: Tally,
}

impl Prompts {
    /// Reads the field; `None` is a call without it.
    pub(super) fn read(prompt: Option<&RawValue>) -> Result<Self, Refusal> {
        let mut prompts = Self::default();
        match prompt {
            None => prompts.add_text(NO_PROMPT),
            Some(value) if is_string(value) => prompts.add_text(&string(value).map_err(|fault| fault.at("prompt"))?),
            Some(value) if is_list(value) => prompts.add_list(value)?,
            Some(value) => return Err(must_be(ALLOWED, value).at("prompt")),
        }
        Ok(prompts)
    }

    fn add_list(&mut self, value: &RawValue) -> Result<(), Refusal> {
        let entries = list(value).map_err(|fault| fault.at("prompt"))?;
        let Some(first) = entries.first() else {
            return Err(Fault::invalid("must not be an empty array").at("prompt"));
        };
        if !is_string(first) && !is_list(first) {
            return self.add_tokens(&entries, "prompt");
        }
        if entries.len() > MOST_PROMPTS {
            let words = format!("must have at most {MOST_PROMPTS} prompts, not {}", entries.len());
            return Err(Fault::invalid(words).at("prompt"));
        }
        for (position, entry) in entries.iter().enumerate() {
            let path = format!("prompt[{position}]");
            if is_string(first) {
                self.add_text(&string(entry).map_err(|fault| fault.at(path))?);
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

    fn add_text(&mut self, text: &str) {
        self.tally.add_text(text);
        self.texts.push(text.to_owned());
    }
}
