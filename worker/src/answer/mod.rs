//! What a provider answers: read, metered and rewritten for the client.
//!
//! [`ChunkReader`] does so for streams, [`WholeAnswer`] for answers in one piece. Both count the generated text as it
//! is billed and put our own identity in front; all else reaches the client as it came, byte for byte.

mod choice;
mod chunk;
mod embeddings;
mod ends;
mod identity;
mod meter;
mod moderations;
mod object;
#[cfg(test)]
mod sample;
mod whole;

use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

pub(crate) use chunk::{ChunkReader, SeenChunk};
pub(crate) use whole::WholeAnswer;

/// The counts of tokens that a provider states for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProviderUsage {
    /// Tokens of the prompt.
    pub(crate) prompt: i64,
    /// Tokens of the completion.
    pub(crate) completion: i64,
}

impl ProviderUsage {
    /// Reads a `usage` object. `None` when a count is missing, no whole number, negative or absurd.
    fn read(usage: &RawValue) -> Option<Self> {
        #[derive(Deserialize)]
        struct Usage<'a> {
            #[serde(borrow, default)]
            prompt_tokens: Option<&'a RawValue>,
            #[serde(borrow, default)]
            completion_tokens: Option<&'a RawValue>,
        }
        let usage: Usage<'_> = object::parse(usage).ok()?;
        Some(Self { prompt: count(usage.prompt_tokens)?, completion: count(usage.completion_tokens)? })
    }

    /// Reads that of a call that generates nothing. `None` as for the other.
    fn read_prompt(usage: &RawValue) -> Option<Self> {
        #[derive(Deserialize)]
        struct Usage<'a> {
            #[serde(borrow, default)]
            prompt_tokens: Option<&'a RawValue>,
        }
        let usage: Usage<'_> = object::parse(usage).ok()?;
        Some(Self { prompt: count(usage.prompt_tokens)?, completion: 0 })
    }
}

fn count(raw: Option<&RawValue>) -> Option<i64> {
    let tokens: i64 = raw?.get().parse().ok()?;
    (0..=MOST_TOKENS).contains(&tokens).then_some(tokens)
}

/// No call has more tokens than this; a higher number is a slip of the provider.
const MOST_TOKENS: i64 = 1_000_000_000;

/// Why an answer cannot be used. For the log only: a caller is never told a provider's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Nonsense {
    /// It is not JSON, or a part of it has another type than OpenAI's API gives it.
    #[error("the provider's answer cannot be read: {0}")]
    Malformed(Excerpt),
    /// What every answer has is absent or empty.
    #[error("the provider's answer has no {0}")]
    Missing(&'static str),
    /// Another number of answers than was asked for.
    #[error("the provider's answer has {found} {what} for {asked} inputs")]
    OtherNumber {
        /// Of what.
        what: &'static str,
        /// How many came.
        found: usize,
        /// How many should have come.
        asked: i64,
    },
    /// Over one of the bounds that keep an answer from taking all memory.
    #[error("the provider's answer has more than {most} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The bound.
        most: usize,
    },
    /// An error in the place of an answer, in spite of the status 200.
    #[error("the provider sent an error instead of an answer: {0}")]
    ProviderError(Excerpt),
}

impl From<serde_json::Error> for Nonsense {
    fn from(error: serde_json::Error) -> Self {
        Self::Malformed(Excerpt::of(&error.to_string()))
    }
}

/// The start of a provider's words: at most 200 characters, none of which can break a line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Excerpt(String);

impl Excerpt {
    const LENGTH: usize = 200;

    fn of(text: &str) -> Self {
        Self(
            text.chars()
                .take(Self::LENGTH)
                .map(|character| if character.is_control() { ' ' } else { character })
                .collect(),
        )
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Refuses an answer with an `error`: some providers send one with the status 200, or in the midst of a stream.
fn refuse_error(members: &object::Members<'_>) -> Result<(), Nonsense> {
    let Some(error) = members.get("error") else {
        return Ok(());
    };
    let message = object::parse::<ErrorObject<'_>>(error).ok().and_then(|error| error.message).and_then(object::string);
    Err(Nonsense::ProviderError(Excerpt::of(message.as_deref().unwrap_or(error.get()))))
}

#[derive(Deserialize)]
struct ErrorObject<'a> {
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use rstest::rstest;
    use shared::queue::Endpoint;
    use shared::tokens::Tally;

    use super::object::quoted;
    use super::sample::job;
    use super::*;

    #[rstest]
    #[case::plain(r#"{"prompt_tokens":3,"completion_tokens":4,"total_tokens":9}"#, Some((3, 4)))]
    #[case::nothing_generated(r#"{"prompt_tokens":3,"completion_tokens":0}"#, Some((3, 0)))]
    #[case::the_most(r#"{"prompt_tokens":1000000000,"completion_tokens":1}"#, Some((1_000_000_000, 1)))]
    #[case::absurd(r#"{"prompt_tokens":1000000001,"completion_tokens":1}"#, None)]
    #[case::beyond_64_bits(r#"{"prompt_tokens":1,"completion_tokens":99999999999999999999}"#, None)]
    #[case::negative(r#"{"prompt_tokens":-1,"completion_tokens":1}"#, None)]
    #[case::missing(r#"{"prompt_tokens":1}"#, None)]
    #[case::null(r#"{"prompt_tokens":1,"completion_tokens":null}"#, None)]
    #[case::fraction(r#"{"prompt_tokens":1.5,"completion_tokens":1}"#, None)]
    #[case::string(r#"{"prompt_tokens":"1","completion_tokens":1}"#, None)]
    #[case::no_object("[1,2]", None)]
    fn usage_of_a_provider(#[case] json: &str, #[case] expected: Option<(i64, i64)>) {
        let usage = ProviderUsage::read(serde_json::from_str(json).unwrap());
        assert_eq!(usage.map(|usage| (usage.prompt, usage.completion)), expected);
    }

    #[rstest]
    #[case::as_it_should_be(r#"{"prompt_tokens":3,"total_tokens":3}"#, Some((3, 0)))]
    #[case::with_a_completion(r#"{"prompt_tokens":3,"completion_tokens":9}"#, Some((3, 0)))]
    #[case::total_only(r#"{"total_tokens":3}"#, None)]
    #[case::negative(r#"{"prompt_tokens":-1}"#, None)]
    fn usage_of_a_provider_that_generates_nothing(#[case] json: &str, #[case] expected: Option<(i64, i64)>) {
        let usage = ProviderUsage::read_prompt(serde_json::from_str(json).unwrap());
        assert_eq!(usage.map(|usage| (usage.prompt, usage.completion)), expected);
    }

    #[rstest]
    #[case::null(r#"{"error":null}"#, None)]
    #[case::absent("{}", None)]
    #[case::message(r#"{"error":{"message":"over\nloaded","code":1}}"#, Some("over loaded"))]
    #[case::text(r#"{"error":"down"}"#, Some("\"down\""))]
    #[case::without_message(r#"{"error":{"code":1}}"#, Some(r#"{"code":1}"#))]
    fn errors_in_the_place_of_an_answer(#[case] json: &str, #[case] expected: Option<&str>) {
        let members = object::members(json.as_bytes()).unwrap();
        let expected = expected.map_or(Ok(()), |text| Err(Nonsense::ProviderError(Excerpt::of(text))));
        assert_eq!(refuse_error(&members), expected);
    }

    #[test]
    fn an_excerpt_ends_after_200_characters() {
        assert_eq!(Excerpt::of(&"你".repeat(300)).to_string(), "你".repeat(200));
    }

    /// What a choice says, text by text, each in the pieces in which it is streamed.
    type Pieces = Vec<String>;

    #[derive(Debug, Clone)]
    struct Said {
        content: Pieces,
        refusal: Pieces,
        reasoning_content: Pieces,
        legacy_arguments: Pieces,
        tool_arguments: [Pieces; 2],
    }

    fn pieces() -> impl Strategy<Value = Pieces> {
        let piece =
            prop::collection::vec(prop::sample::select("ab ,\"\\\n你好。é😀\u{301}".chars().collect::<Vec<_>>()), 0..5);
        prop::collection::vec(piece.prop_map(|characters| characters.into_iter().collect()), 0..5)
    }

    fn said() -> impl Strategy<Value = Said> {
        (pieces(), pieces(), pieces(), pieces(), [pieces(), pieces()]).prop_map(
            |(content, refusal, reasoning_content, legacy_arguments, tool_arguments)| Said {
                content,
                refusal,
                reasoning_content,
                legacy_arguments,
                tool_arguments,
            },
        )
    }

    /// The message, or the delta, with the text that `of` takes from each list of pieces.
    fn message(said: &Said, of: impl Fn(&Pieces) -> String) -> String {
        let text = |pieces| quoted(&of(pieces));
        format!(
            r#"{{"content":{},"refusal":{},"reasoning_content":{},"function_call":{{"arguments":{}}},"tool_calls":[
            {{"index":1,"function":{{"arguments":{}}}}},{{"index":0,"function":{{"arguments":{}}}}}]}}"#,
            text(&said.content),
            text(&said.refusal),
            text(&said.reasoning_content),
            text(&said.legacy_arguments),
            text(&said.tool_arguments[0]),
            text(&said.tool_arguments[1]),
        )
    }

    proptest! {
        #[test]
        fn a_stream_counts_as_the_whole(choices in prop::collection::vec(said(), 1..4)) {
            let job = job(Endpoint::Chat, 3);
            let whole: Vec<String> = choices.iter().enumerate().map(|(index, said)| {
                format!(r#"{{"index":{index},"message":{}}}"#, message(said, |pieces| pieces.concat()))
            }).collect();
            let whole = Bytes::from(format!(r#"{{"choices":[{}]}}"#, whole.join(",")));
            let whole = WholeAnswer::read(&job, &whole).unwrap();

            let mut reader = ChunkReader::new(&job);
            let mut has_text = false;
            for number in 0..5 {
                for (index, said) in choices.iter().enumerate() {
                    let delta = message(said, |pieces| pieces.get(number).cloned().unwrap_or_default());
                    let chunk = format!(r#"{{"choices":[{{"index":{index},"delta":{delta}}}]}}"#);
                    has_text |= reader.read(&Bytes::from(chunk)).unwrap().has_text;
                }
            }
            prop_assert_eq!(reader.tally(), whole.tally);
            prop_assert_eq!(has_text, whole.tally.texts > 0);

            let mut by_hand = Tally::default();
            for said in &choices {
                let [first, second] = &said.tool_arguments;
                for pieces in [&said.content, &said.refusal, &said.reasoning_content, &said.legacy_arguments, first, second] {
                    if !pieces.concat().is_empty() {
                        by_hand.add_text(&pieces.concat());
                    }
                }
            }
            prop_assert_eq!(whole.tally, by_hand);
        }
    }
}
