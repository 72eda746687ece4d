//! The chunks of a streamed answer, one after the other.

use bytes::Bytes;
use serde_json::value::RawValue;
use shared::json_object::parse_list;
use shared::queue::{Endpoint, Job};
use shared::tokens::Tally;

use super::choice::{Choice, count_message};
use super::ends::Ends;
use super::identity::Identity;
use super::meter::{Meter, most_choices};
use super::object::{Members, ObjectWriter, members, parse, quoted, string};
use super::{Nonsense, ProviderUsage, refuse_error};

/// Reads the chunks of one stream in their order, and makes those that the provider does not send.
#[derive(Debug)]
pub(crate) struct ChunkReader<'job> {
    job: &'job Job,
    identity: Identity,
    meter: Meter<'job>,
    ends: Ends,
}

/// What one chunk held.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SeenChunk {
    /// The chunk for the client: with our id and model, without the provider's usage. `None` when it has no choices,
    /// so that nothing is left to show.
    pub(crate) json: Option<Bytes>,
    /// Whether it brought generated text.
    pub(crate) has_text: bool,
    /// Whether it ends the last unfinished choice of those that were asked for: from here on all is held back until
    /// the charge is committed.
    pub(crate) finished: bool,
    /// What the provider says the call used up to now.
    pub(crate) usage: Option<ProviderUsage>,
}

impl<'job> ChunkReader<'job> {
    /// Before the first chunk.
    pub(crate) fn new(job: &'job Job) -> Self {
        Self { job, identity: Identity::of_chunks(job), meter: Meter::new(job), ends: Ends::new(job) }
    }

    /// Reads the JSON of the next `data:` line.
    ///
    /// # Errors
    /// When it is an error or not a chunk. What was counted before stays counted.
    pub(crate) fn read(&mut self, data: &Bytes) -> Result<SeenChunk, Nonsense> {
        let members = members(data)?;
        refuse_error(&members)?;
        let usage = members.get("usage");
        let choices = match members.get("choices") {
            Some(choices) => parse_list(choices, most_choices(self.job))?,
            // Some providers send the usage at the end by itself.
            None if usage.is_some() => Vec::new(),
            None => return Err(Nonsense::Missing("choices")),
        };

        let was_open = self.is_open();
        self.ends.next_chunk();
        let mut has_text = false;
        for (place, choice) in choices.iter().enumerate() {
            has_text |= self.count(place, choice)?;
        }
        self.identity.created_by(&members);
        Ok(SeenChunk {
            json: (!choices.is_empty()).then(|| self.rewrite(&members, data.len())),
            has_text,
            finished: was_open && !self.is_open(),
            usage: usage.and_then(ProviderUsage::read),
        })
    }

    /// What was generated up to now.
    pub(crate) const fn tally(&self) -> Tally {
        self.meter.tally()
    }

    /// Takes back the ends that the last chunk brought: for a chunk that the client does not get.
    pub(crate) fn reopen_last(&mut self) {
        self.ends.reopen_last();
    }

    /// A chunk that ends every unfinished choice for this reason: `length` for a stream that is cut at its hold.
    pub(crate) fn final_chunk(&self, finish_reason: &str) -> Bytes {
        let body = match self.job.endpoint {
            Endpoint::Completions => r#""text":"""#,
            _ => r#""delta":{}"#,
        };
        let reason = quoted(finish_reason);
        let choices: Vec<String> = self
            .ends
            .missing()
            .map(|index| format!(r#"{{"index":{index},{body},"logprobs":null,"finish_reason":{reason}}}"#))
            .collect();
        let mut chunk = ObjectWriter::with_capacity(256);
        self.identity.write(&mut chunk, None);
        chunk.member("choices", &format!("[{}]", choices.join(",")));
        self.withhold_usage(&mut chunk);
        chunk.finish()
    }

    /// The chunk behind all others that tells the usage, for callers that asked for it with `include_usage`.
    pub(crate) fn usage_chunk(&self, prompt_tokens: i64, completion_tokens: i64) -> Bytes {
        let mut chunk = ObjectWriter::with_capacity(256);
        self.identity.write(&mut chunk, None);
        chunk.member("choices", "[]");
        chunk.usage(prompt_tokens, completion_tokens);
        chunk.finish()
    }

    /// Whether a choice is still to be ended.
    pub(crate) fn is_open(&self) -> bool {
        self.ends.are_missing()
    }

    fn count(&mut self, place: usize, choice: &RawValue) -> Result<bool, Nonsense> {
        let choice: Choice<'_> = parse(choice)?;
        let index = choice.index(place);
        let mut has_text = match self.job.endpoint {
            Endpoint::Completions => match choice.text.and_then(string) {
                Some(text) => self.meter.push_after_echo(index, &text)?,
                None => false,
            },
            _ => match choice.delta {
                Some(delta) => count_message(&mut self.meter, index, delta)?,
                None => false,
            },
        };
        if choice.is_finished() {
            has_text |= self.meter.end_of(index)?;
            self.ends.add(index)?;
        }
        Ok(has_text)
    }

    fn rewrite(&self, members: &Members<'_>, length: usize) -> Bytes {
        let mut chunk = ObjectWriter::with_capacity(length + 128);
        self.identity.write(&mut chunk, Some(members));
        for (name, value) in members.iter() {
            // `code` and `msg` are fields of our whole replies; a stream is OpenAI's without them.
            let is_ours = Identity::MEMBERS.contains(&name) || matches!(name, "usage" | "code" | "msg");
            if !is_ours {
                chunk.member(name, value.get());
            }
        }
        self.withhold_usage(&mut chunk);
        chunk.finish()
    }

    /// Who asked for the usage finds `null` in all chunks but the one that tells it, as with OpenAI.
    fn withhold_usage(&self, chunk: &mut ObjectWriter) {
        if self.job.include_usage {
            chunk.member("usage", "null");
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::Excerpt;
    use super::super::sample::{echoing_job, job};
    use super::*;

    fn read(reader: &mut ChunkReader<'_>, json: &str) -> SeenChunk {
        reader.read(&Bytes::copy_from_slice(json.as_bytes())).unwrap()
    }

    fn text(json: &Bytes) -> &str {
        std::str::from_utf8(json).unwrap()
    }

    /// A gateway that writes for people: its lines would end those of our stream.
    #[test]
    fn a_chunk_is_one_line() {
        let job = job(Endpoint::Chat, 1);
        let mut reader = ChunkReader::new(&job);
        let pretty = "{\n\t\"choices\": [\r\n  {\"index\": 0,\n \"delta\": {\"content\": \"a\\nb\"}}\n]}";
        let seen = read(&mut reader, pretty);
        let json = seen.json.unwrap();
        assert!(!text(&json).contains(['\n', '\r']), "{json:?}");
        assert!(text(&json).contains(r#""content": "a\nb""#), "{json:?}");
    }

    #[test]
    fn a_chunk_is_rewritten_but_for_its_values() {
        let job = job(Endpoint::Chat, 1);
        let mut reader = ChunkReader::new(&job);
        let seen = read(
            &mut reader,
            r#"{"id":"gen-1","provider":"P","object":"chat.completion","created":1.70e9,"model":"up/stream",
            "choices":[ {"index":0, "delta":{"content":"你好 \u4e16","x":1e400}} ],"n":[0.1000,12345678901234567890],
            "code":0,"msg":"ok","usage":{"prompt_tokens":5,"completion_tokens":1}}"#,
        );
        assert_eq!(
            text(&seen.json.unwrap()),
            r#"{"id":"chatcmpl-00112233445566778899aabbccddeeff","object":"chat.completion.chunk","created":1700000000,"#
                .to_owned()
                + r#""model":"gpt-3.5","provider":"P","#
                + r#""choices":[ {"index":0, "delta":{"content":"你好 \u4e16","x":1e400}} ],"n":[0.1000,12345678901234567890]}"#
        );
        assert!(seen.has_text && !seen.finished);
        assert_eq!(seen.usage, Some(ProviderUsage { prompt: 5, completion: 1 }));
        assert_eq!(reader.tally(), Tally { texts: 1, hanzi: 3, words: 0, tokens: 3 });
    }

    #[test]
    fn what_a_chunk_lacks_is_supplied() {
        let job = Job { include_usage: true, ..job(Endpoint::Completions, 1) };
        let seen = read(&mut ChunkReader::new(&job), r#"{"choices":[{"text":"one"}],"object":null}"#);
        assert_eq!(
            text(&seen.json.unwrap()),
            r#"{"id":"cmpl-00112233445566778899aabbccddeeff","object":"text_completion","created":1700000000,"#
                .to_owned()
                + r#""model":"gpt-3.5","choices":[{"text":"one"}],"usage":null}"#
        );
        assert!(seen.has_text);
    }

    #[rstest]
    #[case::role(r#"{"role":"assistant","content":""}"#, false)]
    #[case::nothing("{}", false)]
    #[case::null("null", false)]
    #[case::space(r#"{"content":" "}"#, true)]
    #[case::tool(r#"{"tool_calls":[{"index":0,"function":{"name":"f"}}]}"#, true)]
    #[case::arguments(r#"{"tool_calls":[{"index":0,"function":{"arguments":""}}]}"#, false)]
    #[case::reasoning(r#"{"reasoning_content":"h"}"#, true)]
    fn generated_text(#[case] delta: &str, #[case] has_text: bool) {
        let job = job(Endpoint::Chat, 1);
        let seen = read(&mut ChunkReader::new(&job), &format!(r#"{{"choices":[{{"index":0,"delta":{delta}}}]}}"#));
        assert_eq!((seen.has_text, seen.json.is_some()), (has_text, true));
    }

    #[rstest]
    #[case::usage(r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#, Some((1, 2)))]
    #[case::usage_and_null(r#"{"choices":null,"usage":{"prompt_tokens":1,"completion_tokens":2}}"#, Some((1, 2)))]
    #[case::usage_alone(r#"{"usage":{"prompt_tokens":1,"completion_tokens":2}}"#, Some((1, 2)))]
    #[case::something_else(r#"{"choices":[],"prompt_filter_results":[{}],"usage":null}"#, None)]
    fn a_chunk_without_choices_is_not_shown(#[case] json: &str, #[case] usage: Option<(i64, i64)>) {
        let job = job(Endpoint::Chat, 1);
        let usage = usage.map(|(prompt, completion)| ProviderUsage { prompt, completion });
        let expected = SeenChunk { json: None, has_text: false, finished: false, usage };
        assert_eq!(read(&mut ChunkReader::new(&job), json), expected);
    }

    #[test]
    fn the_answer_is_finished_with_its_last_choice() {
        let job = job(Endpoint::Chat, 3);
        let mut reader = ChunkReader::new(&job);
        let steps = [
            (r#"{"choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{},"finish_reason":""}]}"#, false),
            (r#"{"choices":[{"index":2,"delta":{},"finish_reason":"stop"}]}"#, false),
            (r#"{"choices":[{"index":2,"delta":{},"finish_reason":"stop"}]}"#, false),
            (r#"{"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}"#, false),
            (r#"{"choices":[{"index":1,"delta":{"content":"b"},"finish_reason":null}]}"#, false),
            (r#"{"choices":[{"index":1,"delta":{},"finish_reason":"stop"}]}"#, true),
            (r#"{"choices":[{"index":1,"delta":{},"finish_reason":"stop"}]}"#, false),
        ];
        for (json, finished) in steps {
            assert_eq!(read(&mut reader, json).finished, finished, "{json}");
        }
    }

    #[test]
    fn two_of_three_ends_in_one_chunk_are_not_all() {
        let job = job(Endpoint::Completions, 3);
        let mut reader = ChunkReader::new(&job);
        let two = r#"{"choices":[{"index":0,"text":"","finish_reason":"stop"},{"index":2,"text":"","finish_reason":"stop"}]}"#;
        assert!(!read(&mut reader, two).finished);
        assert!(read(&mut reader, r#"{"choices":[{"index":1,"text":"","finish_reason":"stop"}]}"#).finished);
    }

    #[test]
    fn an_echoed_prompt_is_shown_but_not_counted() {
        let job = echoing_job(&["one two", "three"], 4);
        let mut reader = ChunkReader::new(&job);
        let seen = read(&mut reader, r#"{"choices":[{"index":1,"text":"one "}]}"#);
        assert!(seen.json.is_some() && !seen.has_text);
        assert!(!read(&mut reader, r#"{"choices":[{"index":2,"text":"three"},{"index":1,"text":"two"}]}"#).has_text);
        assert!(read(&mut reader, r#"{"choices":[{"index":2,"text":" four"},{"index":1,"text":""}]}"#).has_text);
        assert_eq!(reader.tally(), Tally { texts: 1, hanzi: 0, words: 1, tokens: 1 });
        // This choice ends within its prompt, so what it said was its own.
        assert!(!read(&mut reader, r#"{"choices":[{"index":3,"text":"thr"}]}"#).has_text);
        assert!(read(&mut reader, r#"{"choices":[{"index":3,"text":"","finish_reason":"stop"}]}"#).has_text);
        assert_eq!(reader.tally(), Tally { texts: 2, hanzi: 0, words: 2, tokens: 2 });
    }

    #[test]
    fn a_cut_ends_the_choices_that_are_open() {
        let job = Job { include_usage: true, ..job(Endpoint::Chat, 3) };
        let mut reader = ChunkReader::new(&job);
        read(&mut reader, r#"{"created":17,"choices":[{"index":1,"delta":{},"finish_reason":"stop"}]}"#);
        assert_eq!(
            text(&reader.final_chunk("length")),
            r#"{"id":"chatcmpl-00112233445566778899aabbccddeeff","object":"chat.completion.chunk","created":17,"model":"gpt-3.5","#.to_owned()
                + r#""choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"length"},"#
                + r#"{"index":2,"delta":{},"logprobs":null,"finish_reason":"length"}],"usage":null}"#
        );
    }

    #[test]
    fn a_cut_of_a_completion() {
        let job = job(Endpoint::Completions, 1);
        assert_eq!(
            text(&ChunkReader::new(&job).final_chunk("length")),
            r#"{"id":"cmpl-00112233445566778899aabbccddeeff","object":"text_completion","created":1700000000,"model":"gpt-3.5","#.to_owned()
                + r#""choices":[{"index":0,"text":"","logprobs":null,"finish_reason":"length"}]}"#
        );
    }

    #[test]
    fn the_usage_at_the_end() {
        let job = Job { model: "a \"b\"".to_owned(), ..job(Endpoint::Chat, 1) };
        assert_eq!(
            text(&ChunkReader::new(&job).usage_chunk(5, 7)),
            r#"{"id":"chatcmpl-00112233445566778899aabbccddeeff","object":"chat.completion.chunk","created":1700000000,"#.to_owned()
                + r#""model":"a \"b\"","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}"#
        );
    }

    #[rstest]
    #[case::no_choices(r#"{"id":"a"}"#, Nonsense::Missing("choices"))]
    #[case::null(r#"{"choices":null}"#, Nonsense::Missing("choices"))]
    #[case::error(
        r#"{"choices":[],"error":{"message":"overloaded"}}"#,
        Nonsense::ProviderError(Excerpt::of("overloaded"))
    )]
    fn no_chunk(#[case] json: &str, #[case] expected: Nonsense) {
        let job = job(Endpoint::Chat, 1);
        assert_eq!(ChunkReader::new(&job).read(&Bytes::copy_from_slice(json.as_bytes())), Err(expected));
    }

    #[rstest]
    #[case::text("hello")]
    #[case::done("[DONE]")]
    #[case::choices_as_object(r#"{"choices":{}}"#)]
    #[case::choice_as_text(r#"{"choices":["hello"]}"#)]
    #[case::choice_as_array(r#"{"choices":[[]]}"#)]
    #[case::delta_as_text(r#"{"choices":[{"delta":"hello"}]}"#)]
    fn malformed(#[case] json: &str) {
        let job = job(Endpoint::Chat, 1);
        let result = ChunkReader::new(&job).read(&Bytes::copy_from_slice(json.as_bytes()));
        assert!(matches!(result, Err(Nonsense::Malformed(_))), "{result:?}");
    }

    #[test]
    fn finished_choices_are_bounded() {
        let job = job(Endpoint::Chat, 1);
        let mut reader = ChunkReader::new(&job);
        let finish =
            |index| Bytes::from(format!(r#"{{"choices":[{{"index":{index},"delta":{{}},"finish_reason":"stop"}}]}}"#));
        for index in 0..1_001 {
            assert!(reader.read(&finish(index)).is_ok());
        }
        assert_eq!(reader.read(&finish(1_001)), Err(Nonsense::TooMany { what: "choices", most: 1_001 }));
    }
}
