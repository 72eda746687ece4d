//! `embeddings`.

use rstest::rstest;

use super::*;

/// A call with these members besides the model.
fn embedding_with(members: &str) -> Result<CallRequest, Refusal> {
    read(Endpoint::Embeddings, Rules::OpenAi, &format!(r#"{{"model":"m",{members}}}"#))
}

#[rstest]
#[case::empty(r#""input":"""#, "input")]
#[case::no_inputs(r#""input":[]"#, "input")]
#[case::number(r#""input":1"#, "input")]
#[case::object(r#""input":{"a":1}"#, "input")]
#[case::empty_in_list(r#""input":["a",""]"#, "input[1]")]
#[case::null_in_list(r#""input":["a",null]"#, "input[1]")]
#[case::object_in_list(r#""input":[{}]"#, "input[0]")]
#[case::text_then_token(r#""input":["a",1]"#, "input[1]")]
#[case::tokens_then_text(r#""input":[[1],"a"]"#, "input[1]")]
#[case::no_tokens(r#""input":[[1],[]]"#, "input[1]")]
#[case::token_below(r#""input":[-1]"#, "input[0]")]
#[case::token_fraction(r#""input":[[1,1.5]]"#, "input[0][1]")]
#[case::format(r#""input":"a","encoding_format":"hex""#, "encoding_format")]
#[case::format_list(r#""input":"a","encoding_format":["float"]"#, "encoding_format")]
#[case::dimensions(r#""input":"a","dimensions":0"#, "dimensions")]
#[case::dimensions_fraction(r#""input":"a","dimensions":1.5"#, "dimensions")]
#[case::user(r#""input":"a","user":1"#, "user")]
fn refused(#[case] members: &str, #[case] param: &str) {
    assert_refused(embedding_with(members), Reason::InvalidParameter, param);
}

#[rstest]
#[case::no_model(r#"{"input":"a"}"#, "model")]
#[case::null_model(r#"{"input":"a","model":null}"#, "model")]
#[case::no_input(r#"{"model":"m"}"#, "input")]
#[case::null_input(r#"{"model":"m","input":null}"#, "input")]
fn missing(#[case] body: &str, #[case] param: &str) {
    for rules in [Rules::Original, Rules::OpenAi] {
        assert_refused(read(Endpoint::Embeddings, rules, body), Reason::MissingParameter, param);
    }
}

#[rstest]
fn the_most_inputs(#[values("\"a\"", "[1]")] input: &str) {
    let inputs = |count: usize| format!("\"input\":[{}]", vec![input; count].join(","));
    assert_eq!(embedding_with(&inputs(2_048)).unwrap().choices, 2_048);
    let refusal = embedding_with(&inputs(2_049)).unwrap_err();
    assert_eq!(refusal.message, "input must have at most 2048 inputs, not 2049");
}

#[test]
fn one_input_may_have_more_tokens_than_there_may_be_inputs() {
    let call = embedding_with(&format!("\"input\":[{}]", vec!["7"; 8_191].join(","))).unwrap();
    assert_eq!((call.choices, call.prompt.tokens), (1, 8_191));
}

/// Texts, hanzi, words, tokens; and how many embeddings the reply holds.
#[rstest]
#[case::text(r#""input":"你好 world, GPT-4!""#, (1, 2, 3, 5), 1)]
#[case::punctuation(r#""input":"...""#, (1, 0, 0, 0), 1)]
#[case::texts(r#""input":["one two three","你"]"#, (2, 1, 3, 3 + 1), 2)]
#[case::tokens(r#""input":[1,2,2147483648]"#, (0, 0, 0, 3), 1)]
#[case::token_lists(r#""input":[[1,2],[3]]"#, (0, 0, 0, 3), 2)]
fn counted(#[case] members: &str, #[case] expected: (i64, i64, i64, i64), #[case] inputs: i64) {
    let call = embedding_with(members).unwrap();
    let (texts, hanzi, words, tokens) = expected;
    assert_eq!(call.prompt, Tally { texts, hanzi, words, tokens });
    assert_eq!((call.choices, call.candidates, call.max_output), (inputs, 0, None));
}

#[test]
fn what_passes_through() {
    let members = r#""input":[ "a" ],"encoding_format":"base64","dimensions":256,"user":"张三","stream":true,"stream_options":{},"x":1.0"#;
    let call = embedding_with(members).unwrap();
    assert_eq!(call.fields, members);
    assert_eq!((call.end_user.as_deref(), call.stream, call.include_usage), (Some("张三"), false, false));
}

#[test]
fn a_key_in_the_body_is_not_passed_on() {
    let body = r#"{"api_secret_key":"sk-1","input":"a","model":"m"}"#;
    assert_eq!(read(Endpoint::Embeddings, Rules::Original, body).unwrap().fields, r#""input":"a""#);
}
