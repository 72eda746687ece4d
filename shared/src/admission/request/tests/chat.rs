//! Messages by OpenAI's rules.

use rstest::rstest;

use super::*;

#[rstest]
#[case::text("[{}]", "messages[0].role", Reason::MissingParameter)]
#[case::no_messages("null", "messages", Reason::MissingParameter)]
#[case::string("\"hi\"", "messages", Reason::InvalidParameter)]
#[case::object(r#"{"role":"user","content":"hi"}"#, "messages", Reason::InvalidParameter)]
#[case::empty("[]", "messages", Reason::InvalidParameter)]
#[case::message_string("[\"hi\"]", "messages[0]", Reason::InvalidParameter)]
#[case::message_list(r#"[["user","hi"]]"#, "messages[0]", Reason::InvalidParameter)]
#[case::message_null(r#"[{"role":"user","content":"a"},null]"#, "messages[1]", Reason::InvalidParameter)]
#[case::role_twice(r#"[{"role":"user","role":"system","content":"a"}]"#, "messages[0]", Reason::InvalidParameter)]
#[case::content_twice(r#"[{"role":"user","content":"a","c\u006fntent":"b"}]"#, "messages[0]", Reason::InvalidParameter)]
#[case::role_number(r#"[{"role":1,"content":"a"}]"#, "messages[0].role", Reason::InvalidParameter)]
#[case::role_null(r#"[{"role":null,"content":"a"}]"#, "messages[0].role", Reason::MissingParameter)]
#[case::role_unknown(r#"[{"role":"User","content":"a"}]"#, "messages[0].role", Reason::InvalidParameter)]
#[case::content_absent(r#"[{"role":"user"}]"#, "messages[0].content", Reason::MissingParameter)]
#[case::content_null(r#"[{"role":"system","content":null}]"#, "messages[0].content", Reason::MissingParameter)]
#[case::content_of_tool(r#"[{"role":"tool","tool_call_id":"a"}]"#, "messages[0].content", Reason::MissingParameter)]
#[case::assistant_says_nothing(r#"[{"role":"assistant"}]"#, "messages[0].content", Reason::MissingParameter)]
#[case::assistant_calls_nothing(
    r#"[{"role":"assistant","tool_calls":[]}]"#,
    "messages[0].content",
    Reason::MissingParameter
)]
#[case::calls_of_a_user(r#"[{"role":"user","refusal":"a"}]"#, "messages[0].content", Reason::MissingParameter)]
#[case::content_number(r#"[{"role":"user","content":1}]"#, "messages[0].content", Reason::InvalidParameter)]
#[case::content_object(
    r#"[{"role":"user","content":{"type":"text"}}]"#,
    "messages[0].content",
    Reason::InvalidParameter
)]
#[case::no_parts(r#"[{"role":"user","content":[]}]"#, "messages[0].content", Reason::InvalidParameter)]
#[case::part_string(r#"[{"role":"user","content":["a"]}]"#, "messages[0].content[0]", Reason::InvalidParameter)]
#[case::part_untyped(
    r#"[{"role":"user","content":[{"text":"a"}]}]"#,
    "messages[0].content[0].type",
    Reason::MissingParameter
)]
#[case::part_type(
    r#"[{"role":"user","content":[{"type":1}]}]"#,
    "messages[0].content[0].type",
    Reason::InvalidParameter
)]
#[case::part_without_text(
    r#"[{"role":"user","content":"a"},{"role":"user","content":[{"type":"x"},{"type":"text"}]}]"#,
    "messages[1].content[1].text",
    Reason::MissingParameter
)]
#[case::part_text(
    r#"[{"role":"user","content":[{"type":"text","text":1}]}]"#,
    "messages[0].content[0].text",
    Reason::InvalidParameter
)]
#[case::part_refusal(
    r#"[{"role":"assistant","content":[{"type":"refusal","text":"a"}]}]"#,
    "messages[0].content[0].refusal",
    Reason::MissingParameter
)]
#[case::refusal(r#"[{"role":"assistant","refusal":[]}]"#, "messages[0].refusal", Reason::InvalidParameter)]
#[case::tool_calls(r#"[{"role":"assistant","tool_calls":{}}]"#, "messages[0].tool_calls", Reason::InvalidParameter)]
#[case::tool_call(r#"[{"role":"assistant","tool_calls":[1]}]"#, "messages[0].tool_calls[0]", Reason::InvalidParameter)]
#[case::tool_call_type(
    r#"[{"role":"assistant","tool_calls":[{"type":1}]}]"#,
    "messages[0].tool_calls[0].type",
    Reason::InvalidParameter
)]
#[case::tool_call_without_function(
    r#"[{"role":"assistant","tool_calls":[{"type":"function"}]}]"#,
    "messages[0].tool_calls[0].function",
    Reason::MissingParameter
)]
#[case::tool_call_function(
    r#"[{"role":"assistant","tool_calls":[{"type":"function","function":"f"}]}]"#,
    "messages[0].tool_calls[0].function",
    Reason::InvalidParameter
)]
#[case::tool_call_name(
    r#"[{"role":"assistant","tool_calls":[{"function":{"arguments":"{}"}}]}]"#,
    "messages[0].tool_calls[0].function.name",
    Reason::MissingParameter
)]
#[case::tool_call_arguments(
    r#"[{"role":"assistant","tool_calls":[{"type":"custom"},{"type":"function","function":{"name":"f","arguments":{}}}]}]"#,
    "messages[0].tool_calls[1].function.arguments",
    Reason::InvalidParameter
)]
#[case::function_call(
    r#"[{"role":"assistant","function_call":"f"}]"#,
    "messages[0].function_call",
    Reason::InvalidParameter
)]
#[case::function_call_arguments(
    r#"[{"role":"assistant","function_call":{"name":"f"}}]"#,
    "messages[0].function_call.arguments",
    Reason::MissingParameter
)]
fn refused(#[case] messages: &str, #[case] param: &str, #[case] reason: Reason) {
    assert_refused(chat_of(messages), reason, param);
}

#[test]
fn a_chat_without_messages() {
    assert_refused(read(Endpoint::Chat, Rules::OpenAi, "{}"), Reason::MissingParameter, "messages");
}

/// Texts, hanzi, words, tokens; part_tokens is 300.
#[rstest]
#[case::strings(
    r#"[{"role":"system","content":"be brief"},{"role":"developer","content":"你好"},{"role":"user","content":""}]"#,
    (3, 2, 2, 2 + 2)
)]
#[case::even_number_and_any_order(r#"[{"role":"assistant","content":"a"},{"role":"assistant","content":"b"}]"#, (2, 0, 2, 2))]
#[case::escaped(r#"[{"role":"user","content":"\u4f60\u597d\nworld"}]"#, (1, 2, 1, 3))]
#[case::each_text_is_rounded_down(
    r#"[{"role":"user","content":[{"type":"text","text":"one two three"},{"type":"text","text":"four"}]}]"#,
    (2, 0, 4, 3 + 1)
)]
#[case::image(
    r#"[{"role":"user","content":[{"type":"text","text":"这是什么"},{"type":"image_url","image_url":{"url":"data:,a b c"}}]}]"#,
    (1, 4, 0, 4 + 300)
)]
#[case::any_part(r#"[{"role":"user","content":[{"type":"input_audio"},{"type":"file"},{"type":"new"}]}]"#, (0, 0, 0, 900))]
#[case::refusals(
    r#"[{"role":"assistant","content":[{"type":"refusal","refusal":"no no"}],"refusal":"no"},{"role":"assistant","refusal":"no"}]"#,
    (3, 0, 4, 2 + 1 + 1)
)]
#[case::tool_calls(
    r#"[{"role":"assistant","content":null,"tool_calls":[{"id":"call 1","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"上海\"}"}}]},
        {"role":"tool","tool_call_id":"call 1","content":"晴"}]"#,
    (3, 3, 3, 2 + 3 + 1)
)]
#[case::calls_besides_content(
    r#"[{"role":"assistant","content":"a","tool_calls":[],"function_call":{"name":"f","arguments":""}}]"#,
    (3, 0, 2, 2)
)]
#[case::custom_tool(
    r#"[{"role":"assistant","tool_calls":[{"type":"custom","custom":{"name":"f","input":"a b"}},{"type":"other","x":"y"}]}]"#,
    (2, 0, 3, 1 + 2)
)]
#[case::function_without_result(r#"[{"role":"function","name":"f","content":null}]"#, (0, 0, 0, 0))]
#[case::names_and_unknown_members_do_not_count(r#"[{"role":"user","name":"a b c","content":"d","new":"e f"}]"#, (1, 0, 1, 1))]
#[case::audio_of_an_answer(r#"[{"role":"assistant","audio":{"id":"a"}}]"#, (0, 0, 0, 300))]
fn counted(#[case] messages: &str, #[case] expected: (i64, i64, i64, i64)) {
    let call = chat_of(messages).unwrap();
    let (texts, hanzi, words, tokens) = expected;
    assert_eq!(call.prompt, Tally { texts, hanzi, words, tokens });
    assert_eq!(call.fields, format!("\"messages\":{messages}"));
}

#[rstest]
#[case::tools(r#""tools":[ { "type" : "function" , "function" : {"name":"天气"} } ]"#, Tally { texts: 1, hanzi: 2, words: 4, tokens: 7 })]
#[case::functions(r#""functions":[{"name":"f"}]"#, Tally { texts: 1, hanzi: 0, words: 2, tokens: 2 })]
#[case::format(r#""response_format":{"type":"json_object"}"#, Tally { texts: 1, hanzi: 0, words: 3, tokens: 3 })]
#[case::all(
    r#""tools":[],"functions":[{"name":"f"}],"response_format":{"type":"text"}"#,
    Tally { texts: 3, hanzi: 0, words: 4, tokens: 4 }
)]
#[case::null(r#""tools":null,"functions":null,"response_format":null"#, Tally::default())]
#[case::choice_does_not_count(r#""tool_choice":{"type":"function"},"parallel_tool_calls":false"#, Tally::default())]
fn what_counts_besides_messages(#[case] members: &str, #[case] expected: Tally) {
    let mut one_word = Tally::default();
    one_word.add_text("hi");
    for rules in [Rules::OpenAi, Rules::Original] {
        let body = format!(r#"{{"messages":[{{"role":"user","content":"hi"}}],{members}}}"#);
        let call = read(Endpoint::Chat, rules, &body).unwrap();
        assert_eq!(call.prompt, one_word.plus(expected));
    }
}
