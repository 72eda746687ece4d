//! `completions`.

use rstest::rstest;

use super::*;

#[rstest]
#[case::number(r#""prompt":1"#, "prompt")]
#[case::object(r#""prompt":{}"#, "prompt")]
#[case::truth(r#""prompt":true"#, "prompt")]
#[case::no_prompts(r#""prompt":[]"#, "prompt")]
#[case::null_in_list(r#""prompt":[null]"#, "prompt[0]")]
#[case::object_in_list(r#""prompt":[{}]"#, "prompt[0]")]
#[case::text_then_token(r#""prompt":["a",1]"#, "prompt[1]")]
#[case::text_then_tokens(r#""prompt":["a","b",[1]]"#, "prompt[2]")]
#[case::token_then_text(r#""prompt":[1,"a"]"#, "prompt[1]")]
#[case::token_then_tokens(r#""prompt":[1,[1]]"#, "prompt[1]")]
#[case::tokens_then_token(r#""prompt":[[1],1]"#, "prompt[1]")]
#[case::tokens_then_text(r#""prompt":[[1],"a"]"#, "prompt[1]")]
#[case::no_tokens(r#""prompt":[[1],[]]"#, "prompt[1]")]
#[case::token_below(r#""prompt":[-1]"#, "prompt[0]")]
#[case::token_above(r#""prompt":[0,2147483649]"#, "prompt[1]")]
#[case::token_fraction(r#""prompt":[1.5]"#, "prompt[0]")]
#[case::token_in_tokens(r#""prompt":[[1],[1,"a"]]"#, "prompt[1][1]")]
#[case::suffix(r#""suffix":["a"]"#, "suffix")]
#[case::logprobs(r#""logprobs":6"#, "logprobs")]
#[case::logprobs_below(r#""logprobs":-1"#, "logprobs")]
#[case::logprobs_truth(r#""logprobs":true"#, "logprobs")]
#[case::echo(r#""echo":"yes""#, "echo")]
#[case::best_of_none(r#""best_of":0"#, "best_of")]
#[case::best_of_many(r#""best_of":21"#, "best_of")]
#[case::best_of_below_n(r#""best_of":2,"n":3"#, "best_of")]
#[case::best_of_streamed(r#""best_of":2,"stream":true"#, "best_of")]
#[case::best_of_text(r#""best_of":"2""#, "best_of")]
fn refused(#[case] members: &str, #[case] param: &str) {
    assert_refused(completion_with(members), Reason::InvalidParameter, param);
}

#[test]
fn the_model_is_required() {
    assert_refused(
        read(Endpoint::Completions, Rules::Original, r#"{"prompt":"a"}"#),
        Reason::MissingParameter,
        "model",
    );
}

/// Texts, hanzi, words, tokens; and how many prompts.
#[rstest]
#[case::text(r#""prompt":"你好 world, GPT-4!""#, (1, 2, 3, 5), 1)]
#[case::empty(r#""prompt":"""#, (1, 0, 0, 0), 1)]
#[case::texts(r#""prompt":["one two three","你"]"#, (2, 1, 3, 3 + 1), 2)]
#[case::tokens(r#""prompt":[1,2,2147483648]"#, (0, 0, 0, 3), 1)]
#[case::token_lists(r#""prompt":[[1,2],[3]]"#, (0, 0, 0, 3), 2)]
#[case::suffix(r#""prompt":"one","suffix":"two three four""#, (2, 0, 4, 1 + 3), 1)]
#[case::null_suffix(r#""prompt":"one","suffix":null"#, (1, 0, 1, 1), 1)]
#[case::absent(r#""suffix":null"#, (1, 0, 1, 1), 1)]
fn counted(#[case] members: &str, #[case] expected: (i64, i64, i64, i64), #[case] prompts: i64) {
    let call = completion_with(members).unwrap();
    let (texts, hanzi, words, tokens) = expected;
    assert_eq!(call.prompt, Tally { texts, hanzi, words, tokens });
    assert_eq!((call.choices, call.candidates), (prompts, prompts));
}

#[rstest]
#[case::usual(r#""prompt":"a""#, 1, 1, Some(16))]
#[case::null(r#""prompt":"a","max_tokens":null,"n":null,"best_of":null"#, 1, 1, Some(16))]
#[case::asked_for(r#""prompt":"a","max_tokens":100,"n":3"#, 3, 3, Some(100))]
#[case::nothing(r#""prompt":"a","max_tokens":0,"echo":true"#, 1, 1, Some(0))]
#[case::best_of(r#""prompt":["a","b"],"n":2,"best_of":5"#, 4, 10, Some(16))]
#[case::best_of_as_many(r#""prompt":[[1],[2],[3]],"n":2,"best_of":2"#, 6, 6, Some(16))]
#[case::best_of_one_streamed(r#""prompt":"a","best_of":1,"stream":true"#, 1, 1, Some(16))]
#[case::many(r#""prompt":"a","n":128"#, 128, 128, Some(16))]
fn answers(#[case] members: &str, #[case] choices: i64, #[case] candidates: i64, #[case] max_output: Option<i64>) {
    let call = completion_with(members).unwrap();
    assert_eq!((call.choices, call.candidates, call.max_output), (choices, candidates, max_output));
}

#[rstest]
#[case::not_asked_for(r#""prompt":"a""#, &[])]
#[case::refused(r#""prompt":"a","echo":false"#, &[])]
#[case::text(r#""prompt":"\u4f60","echo":true"#, &["你"])]
#[case::texts(r#""prompt":["a","b"],"echo":true"#, &["a", "b"])]
#[case::tokens(r#""prompt":[1,2],"echo":true"#, &[""])]
#[case::token_lists(r#""prompt":[[1],[2]],"echo":true,"suffix":"s""#, &["", ""])]
#[case::absent(r#""echo":true"#, &["<|endoftext|>"])]
fn echoed_prompts(#[case] members: &str, #[case] expected: &[&str]) {
    assert_eq!(completion_with(members).unwrap().echoed_prompts, expected);
}

#[rstest]
#[case::absent(r#"{"model":"m"}"#, r#""prompt":"<|endoftext|>","max_tokens":16"#)]
#[case::null(
    r#"{"model":"m","prompt":null,"max_tokens":null,"n":1}"#,
    r#""prompt":"<|endoftext|>","max_tokens":16,"n":1"#
)]
#[case::as_it_came(
    r#"{"model":"m", "prompt": [ "a" ], "max_tokens":5,"temperature":0.10,"stream":false,"x":null}"#,
    r#""prompt":[ "a" ],"max_tokens":5,"temperature":0.10,"x":null"#
)]
fn fields(#[case] body: &str, #[case] expected: &str) {
    assert_eq!(read(Endpoint::Completions, Rules::OpenAi, body).unwrap().fields, expected);
}

#[test]
fn at_most_128_prompts() {
    let prompts = |prompt: &str, count| format!("\"prompt\":[{}]", vec![prompt; count].join(","));
    for prompt in ["\"a\"", "[1]"] {
        assert_eq!(completion_with(&prompts(prompt, 128)).unwrap().choices, 128);
        assert_refused(completion_with(&prompts(prompt, 129)), Reason::InvalidParameter, "prompt");
    }
    assert_eq!(completion_with(&prompts("7", 129)).unwrap().prompt.tokens, 129);
}
