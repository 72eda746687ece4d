//! One message of a chat, by OpenAI's rules, and what it counts.

use std::borrow::Cow;
use std::fmt::Display;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::field::{Fault, is_list, is_string, list, missing, must_be, object, one_of, string};
use crate::refusal::Refusal;
use crate::tokens::Tally;

const ROLES: [&str; 6] = ["system", "developer", "user", "assistant", "tool", "function"];

/// The members of a message that are looked at; all others pass through.
#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub(super) role: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow)]
    function_call: Option<&'a RawValue>,
    #[serde(borrow)]
    audio: Option<&'a RawValue>,
}

/// A tool call or a function call. One that is of another kind passes through, and counts what it has of these.
#[derive(Deserialize)]
struct ToolCall<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    function: Option<&'a RawValue>,
    #[serde(borrow)]
    custom: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct CustomTool<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ContentPart<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<&'a RawValue>,
}

/// Adds up messages. Each string is one text, and each part that is none counts as the model's setting says.
#[derive(Debug)]
pub(super) struct Counter {
    /// So far.
    pub(super) tally: Tally,
    part_tokens: i64,
}

impl Counter {
    /// Nothing counted yet.
    pub(super) fn new(part_tokens: i64) -> Self {
        Self { tally: Tally::default(), part_tokens }
    }

    /// Checks and adds `messages[index]`.
    pub(super) fn add(&mut self, index: usize, message: &RawValue) -> Result<(), Refusal> {
        let message = read(index, message)?;
        let path = format_args!("messages[{index}]");
        let role = message.role.ok_or_else(|| missing(format_args!("{path}.role"), one_of_roles()))?;
        let role = one_of(role, &ROLES).map_err(|fault| fault.at(format_args!("{path}.role")))?;
        match message.content {
            Some(content) => self.add_content(index, content)?,
            None if message.may_lack_content(&role) => {}
            None => return Err(missing(format_args!("{path}.content"), "a string or an array of parts")),
        }
        if let Some(refusal) = message.refusal {
            self.add_string(refusal, format_args!("{path}.refusal"))?;
        }
        if let Some(calls) = message.tool_calls {
            self.add_tool_calls(index, calls)?;
        }
        if let Some(call) = message.function_call {
            self.add_function(call, format_args!("{path}.function_call"))?;
        }
        if message.audio.is_some() {
            self.tally.add_tokens(self.part_tokens);
        }
        Ok(())
    }

    fn add_content(&mut self, index: usize, content: &RawValue) -> Result<(), Refusal> {
        let path = format_args!("messages[{index}].content");
        if is_string(content) {
            return self.add_string(content, path);
        }
        if !is_list(content) {
            return Err(must_be("a string or an array of parts", content).at(path));
        }
        let parts = list(content).map_err(|fault| fault.at(path))?;
        if parts.is_empty() {
            return Err(Fault::invalid("must not be an empty array").at(path));
        }
        for (position, part) in parts.into_iter().enumerate() {
            self.add_part(part, format_args!("{path}[{position}]"))?;
        }
        Ok(())
    }

    /// Checks and adds one part of a content that is an array.
    pub(super) fn add_part(&mut self, part: &RawValue, path: impl Display) -> Result<(), Refusal> {
        let part: ContentPart<'_> = object(part).map_err(|fault| fault.at(&path))?;
        let kind = required_string(part.kind, format_args!("{path}.type"))?;
        let (name, value) = match &*kind {
            "text" => ("text", part.text),
            "refusal" => ("refusal", part.refusal),
            _ => {
                self.tally.add_tokens(self.part_tokens);
                return Ok(());
            }
        };
        self.tally.add_text(&required_string(value, format_args!("{path}.{name}"))?);
        Ok(())
    }

    fn add_tool_calls(&mut self, index: usize, calls: &RawValue) -> Result<(), Refusal> {
        let path = format_args!("messages[{index}].tool_calls");
        for (position, call) in list(calls).map_err(|fault| fault.at(path))?.into_iter().enumerate() {
            let path = format_args!("{path}[{position}]");
            let call: ToolCall<'_> = object(call).map_err(|fault| fault.at(path))?;
            let kind = match call.kind {
                Some(kind) => string(kind).map_err(|fault| fault.at(format_args!("{path}.type")))?,
                None => Cow::Borrowed("function"),
            };
            match (call.function, call.custom) {
                (Some(function), _) => self.add_function(function, format_args!("{path}.function"))?,
                (None, _) if kind == "function" => {
                    return Err(missing(format_args!("{path}.function"), "an object with name and arguments"));
                }
                (None, Some(custom)) => self.add_custom_tool(custom),
                (None, None) => {}
            }
        }
        Ok(())
    }

    fn add_function(&mut self, function: &RawValue, path: impl Display) -> Result<(), Refusal> {
        let function: Function<'_> = object(function).map_err(|fault| fault.at(&path))?;
        for (name, value) in [("name", function.name), ("arguments", function.arguments)] {
            self.tally.add_text(&required_string(value, format_args!("{path}.{name}"))?);
        }
        Ok(())
    }

    fn add_custom_tool(&mut self, custom: &RawValue) {
        let Ok(CustomTool { name, input }) = object(custom) else { return };
        for text in [name, input].into_iter().flatten().filter_map(crate::json_object::text) {
            self.tally.add_text(&text);
        }
    }

    fn add_string(&mut self, value: &RawValue, path: impl Display) -> Result<(), Refusal> {
        self.tally.add_text(&string(value).map_err(|fault| fault.at(path))?);
        Ok(())
    }
}

impl Message<'_> {
    /// OpenAI lets an assistant say something else instead, and a function have no result.
    fn may_lack_content(&self, role: &str) -> bool {
        match role {
            "assistant" => {
                let has_calls =
                    self.tool_calls.is_some_and(|calls| list(calls).map_or(true, |calls| !calls.is_empty()));
                has_calls || self.function_call.is_some() || self.refusal.is_some() || self.audio.is_some()
            }
            "function" => true,
            _ => false,
        }
    }
}

/// The parts of `messages[index]`, none of them checked.
pub(super) fn read(index: usize, message: &RawValue) -> Result<Message<'_>, Refusal> {
    object(message).map_err(|fault| fault.at(format_args!("messages[{index}]")))
}

/// A string that must be there.
pub(super) fn required_string(value: Option<&RawValue>, path: impl Display) -> Result<Cow<'_, str>, Refusal> {
    let value = value.ok_or_else(|| missing(&path, "a string"))?;
    string(value).map_err(|fault| fault.at(path))
}

fn one_of_roles() -> String {
    format!("one of {}", ROLES.join(", "))
}
