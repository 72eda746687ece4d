//! `moderations`.

use rstest::rstest;

use super::*;

fn moderation(body: &str) -> Result<CallRequest, Refusal> {
    read(Endpoint::Moderations, Rules::OpenAi, body)
}

#[rstest]
#[case::empty(r#"{"input":""}"#, "input", Reason::InvalidParameter)]
#[case::no_inputs(r#"{"input":[]}"#, "input", Reason::InvalidParameter)]
#[case::absent("{}", "input", Reason::MissingParameter)]
#[case::null(r#"{"input":null}"#, "input", Reason::MissingParameter)]
#[case::number(r#"{"input":1}"#, "input", Reason::InvalidParameter)]
#[case::object(r#"{"input":{"type":"text","text":"a"}}"#, "input", Reason::InvalidParameter)]
#[case::empty_in_list(r#"{"input":["a",""]}"#, "input[1]", Reason::InvalidParameter)]
#[case::number_in_list(r#"{"input":[1]}"#, "input[0]", Reason::InvalidParameter)]
#[case::text_then_part(r#"{"input":["a",{"type":"text","text":"b"}]}"#, "input[1]", Reason::InvalidParameter)]
#[case::part_then_text(r#"{"input":[{"type":"text","text":"b"},"a"]}"#, "input[1]", Reason::InvalidParameter)]
#[case::part_without_kind(r#"{"input":[{"text":"b"}]}"#, "input[0].type", Reason::MissingParameter)]
#[case::part_without_text(r#"{"input":[{"type":"text"}]}"#, "input[0].text", Reason::MissingParameter)]
#[case::part_with_a_number(r#"{"input":[{"type":"text","text":1}]}"#, "input[0].text", Reason::InvalidParameter)]
#[case::model(r#"{"input":"a","model":""}"#, "model", Reason::InvalidParameter)]
#[case::user(r#"{"input":"a","user":1}"#, "user", Reason::InvalidParameter)]
fn refused(#[case] body: &str, #[case] param: &str, #[case] reason: Reason) {
    assert_refused(moderation(body), reason, param);
}

#[rstest]
fn the_most_inputs(#[values("\"a\"", "{\"type\":\"text\",\"text\":\"a\"}")] input: &str) {
    let inputs = |count: usize| format!("{{\"input\":[{}]}}", vec![input; count].join(","));
    assert_eq!(moderation(&inputs(2_048)).unwrap().prompt.tokens, 2_048);
    let refusal = moderation(&inputs(2_049)).unwrap_err();
    assert_eq!(refusal.message, "input must have at most 2048 entries, not 2049");
}

/// Texts, hanzi, words, tokens; and how many judgements the reply holds. A part that is no text counts 300.
#[rstest]
#[case::text(r#"{"input":"你好 world, GPT-4!"}"#, (1, 2, 3, 5), 1)]
#[case::texts(r#"{"input":["one two three","你"]}"#, (2, 1, 3, 3 + 1), 2)]
#[case::parts(
    r#"{"input":[{"type":"text","text":"one two three"},{"type":"image_url","image_url":{"url":"https://a.example/b.png"}},{"type":"text","text":"你"}]}"#,
    (2, 1, 3, 3 + 300 + 1),
    1
)]
fn counted(#[case] body: &str, #[case] expected: (i64, i64, i64, i64), #[case] results: i64) {
    let call = moderation(body).unwrap();
    let (texts, hanzi, words, tokens) = expected;
    assert_eq!(call.prompt, Tally { texts, hanzi, words, tokens });
    assert_eq!((call.choices, call.candidates, call.max_output), (results, 0, None));
    assert_eq!(call.model, "omni-moderation-latest");
}

#[test]
fn what_passes_through() {
    let body = r#"{"api_secret_key":"sk-1","model":"m","input":[ "a" ],"user":"张三","stream":false,"x":1.0}"#;
    let call = read(Endpoint::Moderations, Rules::Original, body).unwrap();
    assert_eq!(call.fields, r#""input":[ "a" ],"user":"张三","stream":false,"x":1.0"#);
    assert_eq!((call.model.as_str(), call.end_user.as_deref(), call.stream), ("m", Some("张三"), false));
}
