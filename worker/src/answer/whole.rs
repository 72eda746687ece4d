//! An answer that comes in one piece.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use shared::json_object::parse_list;
use shared::queue::{Endpoint, Job};
use shared::tokens::Tally;

use super::choice::{Choice, count_message};
use super::identity::Identity;
use super::meter::{Meter, most_choices};
use super::object::{Members, ObjectWriter, members, parse, string};
use super::{Nonsense, ProviderUsage, embeddings, moderations, refuse_error};

/// A provider's whole answer, counted and made ready for the client up to the usage, which is known only once the
/// price has said what is billed.
#[derive(Debug)]
pub(crate) struct WholeAnswer {
    /// What was generated.
    pub(crate) tally: Tally,
    /// What the provider says the call used.
    pub(crate) usage: Option<ProviderUsage>,
    /// How many images were delivered, of those that were ordered.
    pub(crate) images: i64,
    /// The reply's members in front of the usage.
    before_usage: ObjectWriter,
    tells: Tells,
    /// The members behind it.
    after_usage: ObjectWriter,
}

impl WholeAnswer {
    /// Reads the body of a provider's answer.
    ///
    /// # Errors
    /// When it is an error or not an answer of the job's endpoint.
    pub(crate) fn read(job: &Job, data: &Bytes) -> Result<Self, Nonsense> {
        let members = members(data)?;
        refuse_error(&members)?;
        match job.endpoint {
            Endpoint::Chat | Endpoint::Completions => Self::of_texts(job, &members, data.len()),
            Endpoint::Images => Self::of_images(job, &members, data.len()),
            Endpoint::Embeddings => Self::of_embeddings(job, &members, data.len()),
            Endpoint::Moderations => Self::of_moderations(job, &members, data.len()),
        }
    }

    /// The reply for the client, with the counts that were billed.
    pub(crate) fn into_reply(self, billed_prompt: i64, billed_completion: i64) -> Bytes {
        let mut reply = self.before_usage;
        match self.tells {
            Tells::Nothing => {}
            Tells::Prompt => reply.prompt_usage(billed_prompt),
            Tells::Both => reply.usage(billed_prompt, billed_completion),
        }
        reply.append(&self.after_usage);
        reply.finish()
    }

    fn of_texts(job: &Job, members: &Members<'_>, length: usize) -> Result<Self, Nonsense> {
        let choices = members.get("choices").ok_or(Nonsense::Missing("choices"))?;
        let entries = parse_list(choices, most_choices(job))?;
        if entries.is_empty() {
            return Err(Nonsense::Missing("choices"));
        }
        let mut meter = Meter::new(job);
        for (place, choice) in entries.into_iter().enumerate() {
            count(&mut meter, job.endpoint, place, choice)?;
        }

        let mut before_usage = reply(length);
        Identity::of_whole(job).write(&mut before_usage, Some(members));
        before_usage.member("choices", choices.get());
        Ok(Self {
            tally: meter.tally(),
            usage: members.get("usage").and_then(ProviderUsage::read),
            images: 0,
            before_usage,
            tells: Tells::Both,
            after_usage: others(members, |name| {
                Identity::MEMBERS.contains(&name) || matches!(name, "choices" | "usage")
            }),
        })
    }

    fn of_images(job: &Job, members: &Members<'_>, length: usize) -> Result<Self, Nonsense> {
        let data = members.get("data").ok_or(Nonsense::Missing("data"))?;
        let ordered = job.images.as_ref().map_or(1, |order| usize::try_from(order.count).unwrap_or(0));
        let mut images: Vec<&str> = Vec::new();
        for entry in parse_list(data, MOST_IMAGES)? {
            let is_delivered = parse::<Image<'_>>(entry)?.is_delivered();
            // What comes beyond the order is not charged, so it is not handed out either.
            if is_delivered && images.len() < ordered {
                images.push(entry.get());
            }
        }

        let mut before_usage = reply(length);
        let identity = Identity::of_whole(job);
        before_usage.member("created", identity.created(members));
        before_usage.member("data", &format!("[{}]", images.join(",")));
        Ok(Self {
            tally: Tally::default(),
            usage: None,
            images: i64::try_from(images.len()).unwrap_or(i64::MAX),
            before_usage,
            tells: Tells::Nothing,
            after_usage: others(members, |name| matches!(name, "id" | "created" | "model" | "data" | "usage")),
        })
    }

    fn of_embeddings(job: &Job, members: &Members<'_>, length: usize) -> Result<Self, Nonsense> {
        let data = members.get("data").ok_or(Nonsense::Missing("data"))?;
        let mut before_usage = reply(length);
        before_usage.member("object", r#""list""#);
        before_usage.member("data", &embeddings::entries(job, data)?);
        before_usage.member("model", Identity::of_whole(job).model());
        Ok(Self {
            tally: Tally::default(),
            usage: members.get("usage").and_then(ProviderUsage::read_prompt),
            images: 0,
            before_usage,
            tells: Tells::Prompt,
            after_usage: others(members, |name| matches!(name, "id" | "object" | "data" | "model" | "usage")),
        })
    }

    fn of_moderations(job: &Job, members: &Members<'_>, length: usize) -> Result<Self, Nonsense> {
        let results = members.get("results").ok_or(Nonsense::Missing("results"))?;
        moderations::check(job, results)?;
        let mut before_usage = reply(length);
        let identity = Identity::of_whole(job);
        before_usage.member("id", identity.id());
        before_usage.member("model", identity.model());
        before_usage.member("results", results.get());
        Ok(Self {
            tally: Tally::default(),
            usage: None,
            images: 0,
            before_usage,
            tells: Tells::Nothing,
            after_usage: others(members, |name| matches!(name, "id" | "model" | "results" | "usage")),
        })
    }
}

/// What a reply tells of what was billed.
#[derive(Debug, Clone, Copy)]
enum Tells {
    /// Images are not billed by tokens, and OpenAI's judgements cost nothing.
    Nothing,
    /// Nothing is generated.
    Prompt,
    /// Prompt and completion.
    Both,
}

/// Far above what can be ordered.
const MOST_IMAGES: usize = 1_000;

#[derive(Debug, Deserialize)]
struct Image<'a> {
    #[serde(borrow, default)]
    url: Option<&'a RawValue>,
    #[serde(borrow, default)]
    b64_json: Option<&'a RawValue>,
}

impl Image<'_> {
    fn is_delivered(&self) -> bool {
        let is_text =
            |value: Option<&RawValue>| value.is_some_and(|value| value.get().starts_with('"') && value.get() != "\"\"");
        is_text(self.url) || is_text(self.b64_json)
    }
}

fn count(meter: &mut Meter<'_>, endpoint: Endpoint, place: usize, choice: &RawValue) -> Result<bool, Nonsense> {
    let choice: Choice<'_> = parse(choice)?;
    let index = choice.index(place);
    if endpoint == Endpoint::Completions {
        let text = choice.text.and_then(string).ok_or(Nonsense::Missing("text in a choice"))?;
        return Ok(meter.push_after_echo(index, &text)? | meter.end_of(index)?);
    }
    count_message(meter, index, choice.message.ok_or(Nonsense::Missing("message in a choice"))?)
}

/// A reply with the two fields that the original service puts in front.
fn reply(length: usize) -> ObjectWriter {
    let mut reply = ObjectWriter::with_capacity(length + 256);
    reply.member("code", "0");
    reply.member("msg", "\"\"");
    reply
}

/// What the provider sent besides, as it came.
fn others(members: &Members<'_>, is_placed: impl Fn(&str) -> bool) -> ObjectWriter {
    let mut others = ObjectWriter::with_capacity(128);
    for (name, value) in members.iter() {
        if !is_placed(name) && !matches!(name, "code" | "msg") {
            others.member(name, value.get());
        }
    }
    others
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::Excerpt;
    use super::super::sample::{echoing_job, image_job, job};
    use super::*;

    fn read(job: &Job, json: &str) -> Result<WholeAnswer, Nonsense> {
        WholeAnswer::read(job, &Bytes::copy_from_slice(json.as_bytes()))
    }

    fn reply_text(answer: WholeAnswer) -> String {
        String::from_utf8(answer.into_reply(5, 7).to_vec()).unwrap()
    }

    #[test]
    fn a_reply_of_chat() {
        let answer = read(
            &job(Endpoint::Chat, 1),
            r#"{"system_fingerprint":"fp","id":"chatcmpl-theirs","object":"chat.completion","created":1711111111,"model":"up",
            "usage":{"prompt_tokens":9,"completion_tokens":8,"total_tokens":17,"prompt_tokens_details":{}},"code":1,"msg":"x","error":null,
            "choices":[{"index":0, "message":{"role":"assistant","content":"你好 world"},"finish_reason":"stop"}],"n":[1e400,0.1000,12345678901234567890]}"#,
        )
        .unwrap();
        assert_eq!(answer.tally, Tally { texts: 1, hanzi: 2, words: 1, tokens: 3 });
        assert_eq!(answer.usage, Some(ProviderUsage { prompt: 9, completion: 8 }));
        assert_eq!(
            reply_text(answer),
            r#"{"code":0,"msg":"","id":"chatcmpl-00112233445566778899aabbccddeeff","object":"chat.completion","created":1711111111,"#.to_owned()
                + r#""model":"gpt-3.5","#
                + r#""choices":[{"index":0, "message":{"role":"assistant","content":"你好 world"},"finish_reason":"stop"}],"#
                + r#""usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12},"#
                + r#""system_fingerprint":"fp","error":null,"n":[1e400,0.1000,12345678901234567890]}"#
        );
    }

    #[test]
    fn a_reply_of_completions_with_what_is_missing() {
        let answer = read(&job(Endpoint::Completions, 1), r#"{"choices":[{"text":"one"}]}"#).unwrap();
        assert_eq!(answer.usage, None);
        assert_eq!(
            reply_text(answer),
            r#"{"code":0,"msg":"","id":"cmpl-00112233445566778899aabbccddeeff","object":"text_completion","created":1700000000,"#.to_owned()
                + r#""model":"gpt-3.5","choices":[{"text":"one"}],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}"#
        );
    }

    #[test]
    fn every_choice_that_came_counts() {
        for asked in [1, 3, 5] {
            let answer = read(
                &job(Endpoint::Chat, asked),
                r#"{"choices":[{"index":0,"message":{"content":"one two"}},{"index":1,"message":{"content":null,"refusal":"no no"}},
                {"message":{"tool_calls":[{"function":{"name":"f","arguments":"{\"a\": 1}"}}]}}]}"#,
            )
            .unwrap();
            // 2.6 and 2.6, and 1.3 and 2.6, each rounded down.
            assert_eq!(answer.tally, Tally { texts: 4, hanzi: 0, words: 7, tokens: 2 + 2 + 1 + 2 });
        }
    }

    #[rstest]
    #[case::each_begins_with_its_prompt(r#"{"choices":[{"index":0,"text":"a b c"},{"index":1,"text":"d e"}]}"#, 2)]
    #[case::without_index(r#"{"choices":[{"text":"a b c"},{"text":"d e"}]}"#, 2)]
    #[case::one_does_not(r#"{"choices":[{"index":0,"text":"c"},{"index":1,"text":"d e"}]}"#, 2)]
    #[case::shorter_than_the_prompt(r#"{"choices":[{"index":0,"text":"a"}]}"#, 1)]
    #[case::nothing_else(r#"{"choices":[{"index":0,"text":"a b"},{"index":1,"text":"d"}]}"#, 0)]
    fn echoed_prompts(#[case] json: &str, #[case] words: i64) {
        let answer = read(&echoing_job(&["a b", "d"], 2), json).unwrap();
        assert_eq!(answer.tally.words, words);
    }

    #[test]
    fn a_reply_of_images() {
        let answer = read(
            &image_job(2),
            r#"{"id":"theirs","model":"up","background":"opaque","data":[{"url":"https://a/1"},{"url":""},{"b64_json":"AA==", "x":0.10},{"url":"https://a/3"}],
            "created":17,"usage":{"input_tokens":5}}"#,
        )
        .unwrap();
        assert_eq!((answer.images, answer.tally), (2, Tally::default()));
        assert_eq!(
            reply_text(answer),
            r#"{"code":0,"msg":"","created":17,"data":[{"url":"https://a/1"},{"b64_json":"AA==", "x":0.10}],"background":"opaque"}"#
        );
    }

    #[rstest]
    #[case::none(r#"{"data":[]}"#, 0)]
    #[case::empty(r#"{"data":[{"url":""},{"url":null,"b64_json":""},{"revised_prompt":"a"},{"url":1}]}"#, 0)]
    #[case::either(r#"{"data":[{"url":"u","b64_json":null},{"url":null,"b64_json":"A"}]}"#, 2)]
    fn images_that_were_delivered(#[case] json: &str, #[case] expected: i64) {
        let answer = read(&image_job(4), json).unwrap();
        assert_eq!(answer.images, expected);
        assert!(reply_text(answer).starts_with(r#"{"code":0,"msg":"","created":1700000000,"data":["#));
    }

    #[rstest]
    #[case::error(
        Endpoint::Chat,
        r#"{"error":{"message":"no"},"choices":[]}"#,
        Nonsense::ProviderError(Excerpt::of("no"))
    )]
    #[case::no_choices(Endpoint::Chat, r#"{"data":[]}"#, Nonsense::Missing("choices"))]
    #[case::empty_choices(Endpoint::Completions, r#"{"choices":[]}"#, Nonsense::Missing("choices"))]
    #[case::no_message(Endpoint::Chat, r#"{"choices":[{"text":"a"}]}"#, Nonsense::Missing("message in a choice"))]
    #[case::no_text(Endpoint::Completions, r#"{"choices":[{"message":{}}]}"#, Nonsense::Missing("text in a choice"))]
    #[case::no_data(Endpoint::Images, r#"{"choices":[]}"#, Nonsense::Missing("data"))]
    fn no_answer(#[case] endpoint: Endpoint, #[case] json: &str, #[case] expected: Nonsense) {
        assert_eq!(read(&job(endpoint, 1), json).unwrap_err(), expected);
    }

    #[rstest]
    #[case::html(Endpoint::Chat, "<html></html>")]
    #[case::choices(Endpoint::Chat, r#"{"choices":{"0":{}}}"#)]
    #[case::choice(Endpoint::Chat, r#"{"choices":["hello"]}"#)]
    #[case::message(Endpoint::Chat, r#"{"choices":[{"message":"hello"}]}"#)]
    #[case::data(Endpoint::Images, r#"{"data":{"url":"u"}}"#)]
    #[case::image(Endpoint::Images, r#"{"data":["u"]}"#)]
    fn malformed(#[case] endpoint: Endpoint, #[case] json: &str) {
        let result = read(&job(endpoint, 1), json);
        assert!(matches!(result, Err(Nonsense::Malformed(_))), "{result:?}");
    }
}
