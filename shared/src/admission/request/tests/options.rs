//! The fields that chats and completions share, and those that only chats have.

use rstest::rstest;

use super::*;

#[rstest]
#[case::temperature(r#""temperature":0"#)]
#[case::temperature_high(r#""temperature":2.0"#)]
#[case::temperature_minus_zero(r#""temperature":-0.0"#)]
#[case::temperature_exponent(r#""temperature":2e0"#)]
#[case::temperature_tiny(r#""temperature":1e-400"#)]
#[case::top_p(r#""top_p":1"#)]
#[case::penalties(r#""presence_penalty":-2,"frequency_penalty":2.0"#)]
#[case::n(r#""n":128"#)]
#[case::stop(r#""stop":"\n""#)]
#[case::stops(r#""stop":["a","b","","d"]"#)]
#[case::bias(r#""logit_bias":{"50256":-100,"1":100,"2":0.5}"#)]
#[case::no_bias(r#""logit_bias":{}"#)]
#[case::seed(r#""seed":-9223372036854775808"#)]
#[case::user(r#""user":"张三""#)]
#[case::nulls(r#""temperature":null,"top_p":null,"n":null,"stop":null,"logit_bias":null,"user":null,"stream":null,"stream_options":null,"seed":null,"max_tokens":null"#)]
#[case::no_stream(r#""stream":false"#)]
#[case::stream_options(r#""stream":true,"stream_options":{"include_usage":null,"include_obfuscation":7}"#)]
#[case::unknown(r#""unknown":{"a":[1e400,"b"]},"":1"#)]
fn accepted_by_both(#[case] members: &str) {
    assert!(chat_with(members).is_ok(), "{:?}", chat_with(members));
    assert!(completion_with(members).is_ok(), "{:?}", completion_with(members));
}

#[rstest]
#[case::below(r#""temperature":-0.1"#, "temperature")]
#[case::above(r#""temperature":2.1"#, "temperature")]
#[case::just_above(r#""temperature":2.0000001"#, "temperature")]
#[case::infinite(r#""temperature":1e400"#, "temperature")]
#[case::minus_infinite(r#""temperature":-1e400"#, "temperature")]
#[case::text(r#""temperature":"1""#, "temperature")]
#[case::truth(r#""temperature":true"#, "temperature")]
#[case::top_p(r#""top_p":1.01"#, "top_p")]
#[case::presence(r#""presence_penalty":-2.5"#, "presence_penalty")]
#[case::frequency(r#""frequency_penalty":3"#, "frequency_penalty")]
#[case::no_answers(r#""n":0"#, "n")]
#[case::many_answers(r#""n":129"#, "n")]
#[case::half_an_answer(r#""n":1.5"#, "n")]
#[case::not_plainly(r#""n":1.0"#, "n")]
#[case::exponent(r#""n":1e0"#, "n")]
#[case::quoted_number(r#""n":"1""#, "n")]
#[case::beyond_64_bits(r#""n":18446744073709551617"#, "n")]
#[case::max_tokens(r#""max_tokens":-1"#, "max_tokens")]
#[case::max_tokens_beyond(r#""max_tokens":9223372036854775808"#, "max_tokens")]
#[case::max_tokens_fraction(r#""max_tokens":16.5"#, "max_tokens")]
#[case::stop_number(r#""stop":4"#, "stop")]
#[case::stop_object(r#""stop":{}"#, "stop")]
#[case::no_stops(r#""stop":[]"#, "stop")]
#[case::five_stops(r#""stop":["a","b","c","d","e"]"#, "stop")]
#[case::second_stop(r#""stop":["a",1]"#, "stop[1]")]
#[case::null_stop(r#""stop":["a","b",null]"#, "stop[2]")]
#[case::bias_list(r#""logit_bias":[]"#, "logit_bias")]
#[case::bias_twice(r#""logit_bias":{"1":1,"1":2}"#, "logit_bias")]
#[case::bias_below(r#""logit_bias":{"50256":-100.5}"#, "logit_bias.50256")]
#[case::bias_above(r#""logit_bias":{"1":1,"2":101}"#, "logit_bias.2")]
#[case::bias_text(r#""logit_bias":{"1":"1"}"#, "logit_bias.1")]
#[case::bias_null(r#""logit_bias":{"1":null}"#, "logit_bias.1")]
#[case::user_number(r#""user":1"#, "user")]
#[case::user_object(r#""user":{}"#, "user")]
#[case::stream_text(r#""stream":"true""#, "stream")]
#[case::stream_number(r#""stream":1"#, "stream")]
#[case::options_without_stream(r#""stream_options":{"include_usage":true}"#, "stream_options")]
#[case::options_with_stream_false(r#""stream":false,"stream_options":{}"#, "stream_options")]
#[case::options_twice(r#""stream":true,"stream_options":{"x":1,"x":2}"#, "stream_options")]
#[case::options_list(r#""stream":true,"stream_options":[true]"#, "stream_options")]
#[case::usage_text(r#""stream":true,"stream_options":{"include_usage":"yes"}"#, "stream_options.include_usage")]
#[case::seed(r#""seed":1.5"#, "seed")]
#[case::seed_beyond(r#""seed":9223372036854775808"#, "seed")]
fn refused_by_both(#[case] members: &str, #[case] param: &str) {
    assert_refused(chat_with(members), Reason::InvalidParameter, param);
    assert_refused(completion_with(members), Reason::InvalidParameter, param);
    let original = format!(r#"{{"messages":[{{"role":"user","content":"hi"}}],{members}}}"#);
    assert_refused(read(Endpoint::Chat, Rules::Original, &original), Reason::InvalidParameter, param);
}

#[rstest]
#[case::max_tokens(r#""max_tokens":0"#, "max_tokens")]
#[case::max_completion_tokens(r#""max_completion_tokens":0"#, "max_completion_tokens")]
#[case::the_one_that_loses(r#""max_completion_tokens":1,"max_tokens":"a""#, "max_tokens")]
#[case::logprobs(r#""logprobs":1"#, "logprobs")]
#[case::top_logprobs(r#""top_logprobs":21"#, "top_logprobs")]
#[case::top_logprobs_below(r#""top_logprobs":-1"#, "top_logprobs")]
#[case::tools(r#""tools":{}"#, "tools")]
#[case::tool(r#""tools":[{},"a"]"#, "tools[1]")]
#[case::null_tool(r#""tools":[null]"#, "tools[0]")]
#[case::functions(r#""functions":"a""#, "functions")]
#[case::function(r#""functions":[[]]"#, "functions[0]")]
#[case::tool_choice(r#""tool_choice":1"#, "tool_choice")]
#[case::function_call(r#""function_call":[]"#, "function_call")]
#[case::parallel(r#""parallel_tool_calls":"no""#, "parallel_tool_calls")]
#[case::format(r#""response_format":"json""#, "response_format")]
#[case::format_type(r#""response_format":{"type":1}"#, "response_format.type")]
#[case::format_type_twice(r#""response_format":{"type":"text","type":"text"}"#, "response_format")]
fn refused_in_chats(#[case] members: &str, #[case] param: &str) {
    assert_refused(chat_with(members), Reason::InvalidParameter, param);
}

#[rstest]
#[case::absent(r#""stream":true"#, "")]
#[case::usage_only(r#""stream":true,"stream_options":{"include_usage":true}"#, "")]
#[case::others(
    r#""stream":true,"stream_options":{ "include_obfuscation" : false,"include_usage":null,"x": 1.0 }"#,
    r#""include_obfuscation":false,"x":1.0"#
)]
fn other_stream_options(#[case] members: &str, #[case] expected: &str) {
    assert_eq!(chat_with(members).unwrap().stream_options, expected);
    assert_eq!(completion_with(members).unwrap().stream_options, expected);
}

#[test]
fn a_response_format_without_type() {
    assert_refused(chat_with(r#""response_format":{}"#), Reason::MissingParameter, "response_format.type");
    assert_refused(chat_with(r#""response_format":{"type":null}"#), Reason::MissingParameter, "response_format.type");
}

#[test]
fn lists_have_an_end() {
    let tools = |count| format!("\"tools\":[{}]", vec!["{}"; count].join(","));
    assert!(chat_with(&tools(512)).is_ok());
    assert_refused(chat_with(&tools(513)), Reason::InvalidParameter, "tools");
    let tokens = |count: usize| (0..count).map(|token| format!("\"{token}\":1")).collect::<Vec<_>>().join(",");
    assert!(chat_with(&format!("\"logit_bias\":{{{}}}", tokens(1000))).is_ok());
    assert_refused(chat_with(&format!("\"logit_bias\":{{{}}}", tokens(1001))), Reason::InvalidParameter, "logit_bias");
    assert!(chat_with(&format!("\"user\":\"{}\"", "长".repeat(512))).is_ok());
    assert_refused(chat_with(&format!("\"user\":\"{}\"", "a".repeat(513))), Reason::InvalidParameter, "user");
}

#[rstest]
#[case::none(r#""a":1"#, None, 1, false, false, None)]
#[case::older(r#""max_tokens":7,"n":3"#, Some(7), 3, false, false, None)]
#[case::the_larger_counts(r#""max_completion_tokens":5,"max_tokens":7"#, Some(7), 1, false, false, None)]
#[case::newer_is_null(r#""max_completion_tokens":null,"max_tokens":7"#, Some(7), 1, false, false, None)]
#[case::stream(r#""stream":true,"user":"张三""#, None, 1, true, false, Some("张三"))]
#[case::usage(r#""stream":true,"stream_options":{"include_usage":true},"user":"""#, None, 1, true, true, None)]
#[case::no_usage(r#""stream_options":{"include_usage":false},"stream":true"#, None, 1, true, false, None)]
fn what_admission_reads(
    #[case] members: &str,
    #[case] max_output: Option<i64>,
    #[case] answers: i64,
    #[case] stream: bool,
    #[case] include_usage: bool,
    #[case] end_user: Option<&str>,
) {
    let call = chat_with(members).unwrap();
    assert_eq!((call.max_output, call.choices, call.candidates), (max_output, answers, answers));
    assert_eq!((call.stream, call.include_usage, call.end_user.as_deref()), (stream, include_usage, end_user));
    assert_eq!((call.echoed_prompts, call.images), (Vec::new(), None));
}

#[rstest]
#[case(r#""n":"many""#, "n must be a whole number from 1 to 128, not \"many\"")]
#[case(r#""n":1.0"#, "n must be a whole number from 1 to 128 in plain digits, not 1.0")]
#[case(r#""max_tokens":0"#, "max_tokens must be a whole number of at least 1 in plain digits, not 0")]
#[case(r#""temperature":3"#, "temperature must be a number from 0 to 2, not 3")]
#[case(r#""stop":["a",[]]"#, "stop[1] must be a string, not an array")]
#[case(r#""user":{"a":1}"#, "user must be a string, not an object")]
#[case(r#""tool_choice":7"#, "tool_choice must be a string or an object, not 7")]
fn messages_say_what_is_allowed(#[case] members: &str, #[case] expected: &str) {
    assert_eq!(chat_with(members).unwrap_err().message, expected);
}
