//! What the echo channel says: the prompt, cut by `stop` and `max_tokens`.

use std::sync::Arc;

use shared::queue::{Endpoint, Job};
use shared::tokens::{TextCount, TextCounter};

use super::super::UpstreamError;
use super::request::{EchoedPrompt, Prompt, Request, Stop, parse, rejected};

/// The `max_tokens` of `completions` when the call gives none (OpenAI's default).
const USUAL_COMPLETION: i64 = 16;
/// The prompt of `completions` when the call gives none (OpenAI's default).
const USUAL_PROMPT: &str = "<|endoftext|>";
/// The most choices of one call, prompts times `n`.
const MOST_CHOICES: usize = 4096;

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    /// With `echo`: the prompt, which is not generated.
    pub(super) front: Arc<str>,
    /// What is generated.
    pub(super) text: Arc<str>,
    /// What the text counts.
    pub(super) tokens: i64,
    /// `stop` or `length`
    pub(super) finish_reason: &'static str,
}

impl Choice {
    /// In bytes.
    pub(super) fn length(&self) -> usize {
        self.front.len() + self.text.len()
    }
}

/// The answers to a job for chat or completions, in the order of their index.
pub(super) fn choices(job: &Job) -> Result<Vec<Choice>, UpstreamError> {
    let request: Request = parse(job)?;
    let stops = request.stop.as_ref().map(Stop::texts).unwrap_or_default();
    let asked = request.max_completion_tokens.or(request.max_tokens);
    let answers: Vec<Choice> = if job.endpoint == Endpoint::Chat {
        vec![answer(&request.last_user_text(), "", stops, asked)]
    } else {
        let max = Some(asked.unwrap_or(USUAL_COMPLETION));
        let with_front = request.echo == Some(true);
        let prompts = request.prompt.unwrap_or_else(|| Prompt::Text(USUAL_PROMPT.to_owned())).into_texts();
        let of_prompt =
            |prompt: EchoedPrompt| answer(&prompt.answer, if with_front { &prompt.text } else { "" }, stops, max);
        prompts.into_iter().map(of_prompt).collect()
    };
    let each = request.n.unwrap_or(1).max(1);
    if answers.len().saturating_mul(each) > MOST_CHOICES {
        return Err(rejected(format!("at most {MOST_CHOICES} answers can be given to one call")));
    }
    Ok(answers.into_iter().flat_map(|answer| std::iter::repeat_n(answer, each)).collect())
}

fn answer(text: &str, front: &str, stops: &[String], max: Option<i64>) -> Choice {
    let stop = stops.iter().filter(|stop| !stop.is_empty()).filter_map(|stop| text.find(stop.as_str())).min();
    let text = &text[..stop.unwrap_or(text.len())];
    let (text, finish_reason) = match max.and_then(|max| cut(text, max)) {
        Some(shorter) => (shorter, "length"),
        None => (text, "stop"),
    };
    Choice { front: front.into(), text: text.into(), tokens: TextCount::of(text).tokens(), finish_reason }
}

/// The longest beginning, up to the end of a hanzi or word, that counts at most `max`. `None`: all of it does.
fn cut(text: &str, max: i64) -> Option<&str> {
    let mut counter = TextCounter::default();
    let mut end = 0;
    while end < text.len() {
        let piece = first_piece(&text[end..]);
        counter.push(piece);
        if counter.count().tokens() > max {
            return Some(&text[..end]);
        }
        end += piece.len();
    }
    None
}

/// The text up to the end of its first hanzi or word; all of it when nothing but separators would be left.
pub(super) fn first_piece(text: &str) -> &str {
    let mut in_word = false;
    for (at, character) in text.char_indices() {
        let count = TextCount::of(character.encode_utf8(&mut [0; 4]));
        if in_word && count.words == 0 {
            return unless_rest_is_silent(text, at);
        }
        if count.hanzi == 1 {
            return unless_rest_is_silent(text, at + character.len_utf8());
        }
        in_word = count.words == 1;
    }
    text
}

fn unless_rest_is_silent(text: &str, end: usize) -> &str {
    let is_silent = |character: char| TextCount::of(character.encode_utf8(&mut [0; 4])) == TextCount::default();
    if text[end..].chars().all(is_silent) { text } else { &text[..end] }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::sample::job;

    fn shown(endpoint: Endpoint, fields: &str) -> Vec<(String, &'static str)> {
        let choices = choices(&job(endpoint, fields, false)).unwrap();
        choices.iter().map(|choice| (format!("{}{}", choice.front, choice.text), choice.finish_reason)).collect()
    }

    #[rstest]
    #[case::last_user(r#""messages":[{"role":"user","content":"one"},{"role":"assistant","content":"two"},{"role":"user","content":"three"},{"role":"system","content":"four"}]"#, "three", "stop")]
    #[case::parts(r#""messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"x"}},{"type":"text","text":"b"}]}]"#, "a\nb", "stop")]
    #[case::no_user(r#""messages":[{"role":"system","content":"a"}]"#, "", "stop")]
    #[case::null_content(r#""messages":[{"role":"user","content":null}]"#, "", "stop")]
    #[case::cut_on_hanzi(
        r#""messages":[{"role":"user","content":"你好，世界！"}],"max_tokens":3"#,
        "你好，世",
        "length"
    )]
    #[case::cut_before_what_counts(
        r#""messages":[{"role":"user","content":"你好，世界！"}],"max_tokens":2"#,
        "你好",
        "length"
    )]
    #[case::what_does_not_count_is_not_cut(
        r#""messages":[{"role":"user","content":"你好！ \n"}],"max_tokens":2"#,
        "你好！ \n",
        "stop"
    )]
    #[case::cut_on_words(
        r#""messages":[{"role":"user","content":"one two three four"}],"max_tokens":4"#,
        "one two three",
        "length"
    )]
    #[case::newer_name_first(
        r#""messages":[{"role":"user","content":"一二三四"}],"max_tokens":3,"max_completion_tokens":1"#,
        "一",
        "length"
    )]
    #[case::nulls(
        r#""messages":[{"role":"user","content":"一二"}],"max_tokens":null,"stop":null,"n":null"#,
        "一二",
        "stop"
    )]
    #[case::nothing_allowed(r#""messages":[{"role":"user","content":"一二"}],"max_tokens":0"#, "", "length")]
    #[case::stop(r#""messages":[{"role":"user","content":"one two three"}],"stop":" two""#, "one", "stop")]
    #[case::first_stop(
        r#""messages":[{"role":"user","content":"one two three"}],"stop":["three","","two"]"#,
        "one ",
        "stop"
    )]
    #[case::stop_behind_the_cut(
        r#""messages":[{"role":"user","content":"一二三四"}],"stop":"四","max_tokens":2"#,
        "一二",
        "length"
    )]
    #[case::stop_at_the_cut(
        r#""messages":[{"role":"user","content":"一二三四"}],"stop":"三","max_tokens":2"#,
        "一二",
        "stop"
    )]
    fn chat(#[case] fields: &str, #[case] text: &str, #[case] finish_reason: &'static str) {
        assert_eq!(shown(Endpoint::Chat, fields), [(text.to_owned(), finish_reason)]);
    }

    #[rstest]
    #[case::text(r#""prompt":"one""#, &[("one", "stop")])]
    #[case::texts(r#""prompt":["one","two"]"#, &[("one", "stop"), ("two", "stop")])]
    #[case::twice(r#""prompt":["one","two"],"n":2"#, &[("one", "stop"), ("one", "stop"), ("two", "stop"), ("two", "stop")])]
    #[case::tokens(r#""prompt":[15,16,17]"#, &[("tokens: 3", "stop")])]
    #[case::token_lists(r#""prompt":[[15],[16,17]]"#, &[("tokens: 1", "stop"), ("tokens: 2", "stop")])]
    #[case::usual_prompt(r#""user":"me""#, &[("<|endoftext|>", "stop")])]
    #[case::usual_length(r#""prompt":"一二三四五六七八九十一二三四五六七""#, &[("一二三四五六七八九十一二三四五六", "length")])]
    #[case::longer(r#""prompt":"一二三四五六七八九十一二三四五六七","max_tokens":17"#, &[("一二三四五六七八九十一二三四五六七", "stop")])]
    #[case::echo(r#""prompt":"一二三","max_tokens":2,"echo":true"#, &[("一二三一二", "length")])]
    #[case::echo_is_not_stopped(r#""prompt":"一二三","stop":"三","echo":true"#, &[("一二三一二", "stop")])]
    #[case::echo_of_tokens(r#""prompt":[1],"echo":true"#, &[("tokens: 1", "stop")])]
    fn completions(#[case] fields: &str, #[case] expected: &[(&str, &'static str)]) {
        let expected: Vec<(String, &str)> =
            expected.iter().map(|(text, reason)| ((*text).to_owned(), *reason)).collect();
        assert_eq!(shown(Endpoint::Completions, fields), expected);
    }

    #[rstest]
    #[case::not_json(r#""messages":["#)]
    #[case::wrong_type(r#""messages":7"#)]
    #[case::too_many(r#""messages":[],"n":5000"#)]
    #[case::far_too_many(r#""messages":[],"n":18446744073709551615"#)]
    fn rejections(#[case] fields: &str) {
        let answer = choices(&job(Endpoint::Chat, fields, false));
        assert!(matches!(answer, Err(UpstreamError::Rejected { status: 400, .. })), "{answer:?}");
    }

    #[rstest]
    #[case::mixed("，你好 world, GPT-4! ", &["，你", "好", " world", ", GPT", "-4! "])]
    #[case::word_and_hanzi("a你b", &["a", "你", "b"])]
    #[case::separators(" ,. ", &[" ,. "])]
    #[case::nothing("", &[])]
    fn pieces(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(pieces_of(text), expected);
    }

    fn pieces_of(text: &str) -> Vec<&str> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let piece = first_piece(rest);
            pieces.push(piece);
            rest = &rest[piece.len()..];
        }
        pieces
    }

    proptest! {
        #[test]
        fn pieces_make_up_the_text_and_count_one_each(text in "[a-c你好，. \n]{0,40}") {
            let pieces = pieces_of(&text);
            prop_assert_eq!(pieces.concat(), text.clone());
            let whole = TextCount::of(&text);
            if whole != TextCount::default() {
                prop_assert_eq!(pieces.len(), usize::try_from(whole.hanzi + whole.words).unwrap());
            }
        }

        #[test]
        fn a_cut_is_the_longest_that_fits(text in "[a-c你好，. \n]{0,40}", max in 0..20_i64) {
            match cut(&text, max) {
                None => prop_assert!(TextCount::of(&text).tokens() <= max),
                Some(shorter) => {
                    let next = first_piece(&text[shorter.len()..]);
                    prop_assert!(TextCount::of(shorter).tokens() <= max);
                    prop_assert!(TextCount::of(&text[..shorter.len() + next.len()]).tokens() > max);
                }
            }
        }

        #[test]
        fn a_cut_on_hanzi_counts_exactly_what_is_allowed(text in "[你好世界，]{0,40}", max in 0..20_i64) {
            if let Some(shorter) = cut(&text, max) {
                prop_assert_eq!(TextCount::of(shorter).tokens(), max);
            }
        }
    }
}
