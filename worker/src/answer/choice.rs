//! Finds the generated texts in a provider's choices, in the shapes that OpenAI and those who copy its API give them.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use shared::json_object::parse_list;

use super::Nonsense;
use super::meter::{Meter, Part};
use super::object::{parse, string};

/// One entry of `choices`; what is not named here goes to the client unseen.
#[derive(Debug, Deserialize)]
pub(super) struct Choice<'a> {
    #[serde(borrow, default)]
    index: Option<&'a RawValue>,
    #[serde(borrow, default)]
    finish_reason: Option<&'a RawValue>,
    /// Chat, in a stream: what is new.
    #[serde(borrow, default)]
    pub(super) delta: Option<&'a RawValue>,
    /// Chat, in one piece.
    #[serde(borrow, default)]
    pub(super) message: Option<&'a RawValue>,
    /// Completions, in both.
    #[serde(borrow, default)]
    pub(super) text: Option<&'a RawValue>,
}

impl Choice<'_> {
    /// Its number, or else its place among the choices that came with it.
    pub(super) fn index(&self, place: usize) -> i64 {
        index(self.index, place)
    }

    /// Whether it ends here. Some providers send an empty reason until then.
    pub(super) fn is_finished(&self) -> bool {
        self.finish_reason.is_some_and(|reason| reason.get() != "\"\"")
    }
}

/// Counts the texts of a message or of a delta. Gives whether there were any.
///
/// # Errors
/// When it is not an object, or has too many parts.
pub(super) fn count_message(meter: &mut Meter<'_>, choice: i64, message: &RawValue) -> Result<bool, Nonsense> {
    let message: Message<'_> = parse(message)?;
    let mut texts = Texts { meter, choice, found: false };

    texts.content(message.content, Part::Content)?;
    texts.text(message.refusal, Part::Refusal)?;
    texts.text(message.reasoning_content, Part::ReasoningContent)?;
    // Some providers send the same reasoning under both names; it was generated once.
    let is_mirrored = message.reasoning.map(RawValue::get) == message.reasoning_content.map(RawValue::get);
    if !is_mirrored {
        texts.text(message.reasoning, Part::Reasoning)?;
    }
    if let Some(function) = message.function_call {
        texts.function(function, Part::FunctionName, Part::FunctionArguments)?;
    }
    if let Some(tool_calls) = message.tool_calls {
        for (place, tool_call) in parse_list(tool_calls, MOST_PARTS)?.into_iter().enumerate() {
            let tool_call: ToolCall<'_> = parse(tool_call)?;
            let number = index(tool_call.index, place);
            if let Some(function) = tool_call.function.or(tool_call.custom) {
                texts.function(function, Part::ToolName(number), Part::ToolArguments(number))?;
            }
        }
    }
    Ok(texts.found)
}

const MOST_PARTS: usize = 1_000;

#[derive(Debug, Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    function_call: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
struct ToolCall<'a> {
    #[serde(borrow, default)]
    index: Option<&'a RawValue>,
    #[serde(borrow, default)]
    function: Option<&'a RawValue>,
    /// A tool without a schema.
    #[serde(borrow, default)]
    custom: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
struct Function<'a> {
    #[serde(borrow, default)]
    name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
    /// What the arguments are called where there is no schema for them.
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
}

/// One part of a content that is an array.
#[derive(Debug, Deserialize)]
struct ContentPart<'a> {
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    refusal: Option<&'a RawValue>,
    /// Reasoning, again as an array of parts.
    #[serde(borrow, default)]
    thinking: Option<&'a RawValue>,
}

struct Texts<'meter, 'job> {
    meter: &'meter mut Meter<'job>,
    choice: i64,
    found: bool,
}

impl Texts<'_, '_> {
    fn push(&mut self, part: Part, piece: &str) -> Result<(), Nonsense> {
        self.found |= self.meter.push(self.choice, part, piece)?;
        Ok(())
    }

    fn text(&mut self, value: Option<&RawValue>, part: Part) -> Result<(), Nonsense> {
        value.and_then(string).map_or(Ok(()), |text| self.push(part, &text))
    }

    /// A string, or an array of parts that together are one text.
    fn content(&mut self, content: Option<&RawValue>, part: Part) -> Result<(), Nonsense> {
        let Some(parts) = content.filter(|content| content.get().starts_with('[')) else {
            return self.text(content, part);
        };
        for each in parse_list(parts, MOST_PARTS)? {
            if !each.get().starts_with('{') {
                self.text(Some(each), part)?;
                continue;
            }
            let each: ContentPart<'_> = parse(each)?;
            self.text(each.text, part)?;
            self.text(each.refusal, Part::Refusal)?;
            // One level is all there is; reasoning within reasoning is not looked for.
            if part == Part::Content {
                self.content(each.thinking, Part::ReasoningContent)?;
            }
        }
        Ok(())
    }

    fn function(&mut self, function: &RawValue, name: Part, arguments: Part) -> Result<(), Nonsense> {
        let function: Function<'_> = parse(function)?;
        self.text(function.name, name)?;
        let Some(given) = function.arguments.or(function.input) else {
            return Ok(());
        };
        // Some providers send the arguments as an object instead of its text.
        let text = string(given).unwrap_or(Cow::Borrowed(given.get()));
        self.push(arguments, &text)
    }
}

fn index(given: Option<&RawValue>, place: usize) -> i64 {
    given.and_then(|index| index.get().parse().ok()).unwrap_or_else(|| i64::try_from(place).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use shared::queue::Endpoint;

    use super::super::sample::job;
    use super::*;

    /// Expected: texts, hanzi, words.
    #[rstest]
    #[case::text(r#"{"content":"你好 world"}"#, (1, 2, 1))]
    #[case::escapes(r#"{"content":"\u4f60\n\"world\""}"#, (1, 1, 1))]
    #[case::half_an_emoji(r#"{"content":"a\ud83d"}"#, (1, 0, 1))]
    #[case::role_only(r#"{"role":"assistant","content":"","refusal":null}"#, (0, 0, 0))]
    #[case::parts_are_one_text(r#"{"content":[{"type":"text","text":"one tw"},{"type":"text","text":"o"},"!"]}"#, (1, 0, 2))]
    #[case::part_that_refuses(r#"{"content":[{"type":"refusal","refusal":"no"}]}"#, (1, 0, 1))]
    #[case::part_that_thinks(r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"text":"so"}]}"#, (2, 0, 2))]
    #[case::part_of_another_kind(r#"{"content":[{"type":"image_url","image_url":{"url":"one"}}]}"#, (0, 0, 0))]
    #[case::refusal(r#"{"content":null,"refusal":"I can not"}"#, (1, 0, 3))]
    #[case::reasoning(r#"{"reasoning_content":"think","content":"so"}"#, (2, 0, 2))]
    #[case::reasoning_by_its_other_name(r#"{"reasoning":"think","content":"so"}"#, (2, 0, 2))]
    #[case::mirrored_reasoning(r#"{"reasoning":"think","reasoning_content":"think"}"#, (1, 0, 1))]
    #[case::two_reasonings(r#"{"reasoning":"one","reasoning_content":"two"}"#, (2, 0, 2))]
    #[case::reasoning_as_an_object(r#"{"reasoning":{"effort":"low"},"content":"so"}"#, (1, 0, 1))]
    #[case::function(r#"{"content":null,"function_call":{"name":"look_up","arguments":"{\"a\":1}"}}"#, (2, 0, 4))]
    #[case::tools(r#"{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{}"}},{"index":1,"function":{"name":"g","arguments":"[1]"}}]}"#, (4, 0, 3))]
    #[case::tools_without_index(r#"{"tool_calls":[{"function":{"name":"f"}},{"function":{"name":"g"}}]}"#, (2, 0, 2))]
    #[case::custom_tool(r#"{"tool_calls":[{"type":"custom","custom":{"name":"f","input":"go on"}}]}"#, (2, 0, 3))]
    #[case::arguments_as_an_object(r#"{"tool_calls":[{"function":{"name":"f","arguments":{"a":12}}}]}"#, (2, 0, 3))]
    #[case::unknown(r#"{"annotations":["one"],"audio":null,"tool_calls":null}"#, (0, 0, 0))]
    fn texts_of_a_message(#[case] message: &str, #[case] expected: (i64, i64, i64)) {
        let job = job(Endpoint::Chat, 1);
        let mut meter = Meter::new(&job);
        let found = count_message(&mut meter, 0, serde_json::from_str(message).unwrap()).unwrap();
        let tally = meter.tally();
        assert_eq!((tally.texts, tally.hanzi, tally.words), expected);
        assert_eq!(found, expected != (0, 0, 0));
    }

    #[rstest]
    #[case::text(r#""hello""#)]
    #[case::array(r#"["hello"]"#)]
    #[case::tool_calls(r#"{"tool_calls":{}}"#)]
    #[case::tool_call(r#"{"tool_calls":["f"]}"#)]
    #[case::function(r#"{"function_call":"auto"}"#)]
    #[case::twice(r#"{"content":"a","content":"b"}"#)]
    fn other_shapes_are_refused(#[case] message: &str) {
        let job = job(Endpoint::Chat, 1);
        let result = count_message(&mut Meter::new(&job), 0, serde_json::from_str(message).unwrap());
        assert!(matches!(result, Err(Nonsense::Malformed(_))), "{result:?}");
    }

    #[rstest]
    #[case::given(r#"{"index":7,"finish_reason":"stop"}"#, 7, true)]
    #[case::missing(r#"{"finish_reason":null}"#, 3, false)]
    #[case::odd(r#"{"index":"a","finish_reason":""}"#, 3, false)]
    fn number_and_end_of_a_choice(#[case] json: &str, #[case] index: i64, #[case] is_finished: bool) {
        let choice: Choice<'_> = serde_json::from_str(json).unwrap();
        assert_eq!((choice.index(3), choice.is_finished()), (index, is_finished));
    }
}
