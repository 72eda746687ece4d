//! Messages by the original service's rules.

use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;

fn original(messages: &str) -> Result<CallRequest, Refusal> {
    read(Endpoint::Chat, Rules::Original, &format!(r#"{{"api_secret_key":"k","messages":{messages}}}"#))
}

/// A conversation of contents with these lengths, in turn.
fn conversation(lengths: &[usize]) -> Vec<Value> {
    let turn = |(index, length): (usize, &usize)| {
        // Not one byte a character, and not one UTF-16 unit either.
        let content = ["长", "😀", "a"][index % 3].repeat(*length);
        let role = ["user", "assistant"][index % 2];
        json!({"role": role, "content": content})
    };
    lengths.iter().enumerate().map(turn).collect()
}

#[rstest]
#[case::null("null", "messages", Reason::MissingParameter)]
#[case::string("\"你好\"", "messages", Reason::InvalidParameter)]
#[case::object("{}", "messages", Reason::InvalidParameter)]
#[case::empty("[]", "messages", Reason::InvalidMessages)]
#[case::message(r#"["你好"]"#, "messages[0]", Reason::InvalidParameter)]
#[case::twice(r#"[{"role":"user","content":"a","content":"b"}]"#, "messages[0]", Reason::InvalidParameter)]
#[case::no_role(r#"[{"content":"a"}]"#, "messages[0].role", Reason::MissingParameter)]
#[case::role_number(r#"[{"role":0,"content":"a"}]"#, "messages[0].role", Reason::InvalidParameter)]
#[case::no_content(r#"[{"role":"user"}]"#, "messages[0].content", Reason::MissingParameter)]
#[case::null_content(r#"[{"role":"user","content":null}]"#, "messages[0].content", Reason::MissingParameter)]
#[case::parts(
    r#"[{"role":"user","content":[{"type":"text","text":"a"}]}]"#,
    "messages[0].content",
    Reason::InvalidParameter
)]
#[case::even(
    r#"[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]"#,
    "messages",
    Reason::InvalidMessages
)]
#[case::system(r#"[{"role":"system","content":"a"}]"#, "messages[0].role", Reason::InvalidMessages)]
#[case::assistant_first(r#"[{"role":"assistant","content":"a"}]"#, "messages[0].role", Reason::InvalidMessages)]
#[case::capital(r#"[{"role":"User","content":"a"}]"#, "messages[0].role", Reason::InvalidMessages)]
#[case::not_in_turn(
    r#"[{"role":"user","content":"a"},{"role":"user","content":"b"},{"role":"user","content":"c"}]"#,
    "messages[1].role",
    Reason::InvalidMessages
)]
#[case::assistant_last(
    r#"[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"assistant","content":"c"}]"#,
    "messages[2].role",
    Reason::InvalidMessages
)]
#[case::empty_content(r#"[{"role":"user","content":""}]"#, "messages[0].content", Reason::InvalidMessages)]
#[case::empty_answer(
    r#"[{"role":"user","content":"a"},{"role":"assistant","content":""},{"role":"user","content":"c"}]"#,
    "messages[1].content",
    Reason::InvalidMessages
)]
fn refused(#[case] messages: &str, #[case] param: &str, #[case] reason: Reason) {
    assert_refused(original(messages), reason, param);
}

#[test]
fn a_chat_without_messages() {
    assert_refused(read(Endpoint::Chat, Rules::Original, "{}"), Reason::MissingParameter, "messages");
}

#[test]
fn openai_rules_allow_what_these_do_not() {
    for messages in [
        r#"[{"role":"system","content":"a"},{"role":"user","content":"b"}]"#.to_owned(),
        Value::from(conversation(&[2001])).to_string(),
    ] {
        assert!(original(&messages).is_err());
        assert!(chat_of(&messages).is_ok());
    }
}

#[rstest]
#[case::just_fits(&[2000], Ok(0))]
#[case::too_long(&[2001], Err(0))]
#[case::too_long_with_history(&[1, 1, 2001], Err(2))]
#[case::history_just_fits(&[500, 500, 1000], Ok(0))]
#[case::one_round(&[500, 501, 1000], Ok(2))]
#[case::only_as_many_as_needed(&[1500, 1, 400, 400, 400], Ok(2))]
#[case::all_but_the_question(&[1, 1, 2000], Ok(2))]
#[case::long_answer(&[1, 5000, 1, 1, 1], Ok(2))]
#[case::long_answer_later(&[1, 1, 1, 5000, 1], Ok(4))]
fn forgetting(#[case] lengths: &[usize], #[case] expected: Result<usize, usize>) {
    let messages = conversation(lengths);
    let answer = original(&Value::from(messages.clone()).to_string());
    match expected {
        Ok(forgotten) => {
            let call = answer.unwrap();
            assert_eq!(call.fields, format!("\"messages\":{}", Value::from(messages[forgotten..].to_vec())));
            assert_eq!(call.prompt.texts, i64::try_from(lengths.len() - forgotten).unwrap());
        }
        Err(index) => assert_refused(answer, Reason::ContentTooLong, &format!("messages[{index}].content")),
    }
}

#[test]
fn what_is_left_is_sent_as_it_came() {
    let long = "长".repeat(2000);
    let rest = r#"{ "role":"user",  "content":"\u4f60", "x": 1.50 }"#;
    let body = format!(
        r#"{{"a": 1.0,"messages" : [{{"role":"user","content":"{long}"}}, {{"role":"assistant","content":"b"}} , {rest}] ,"b":[ ]}}"#
    );
    let call = read(Endpoint::Chat, Rules::Original, &body).unwrap();
    assert_eq!(call.fields, format!(r#""a":1.0,"messages":[{rest}],"b":[ ]"#));
    assert_eq!(call.prompt, Tally { texts: 1, hanzi: 1, words: 0, tokens: 1 });
}

#[test]
fn nothing_forgotten_means_nothing_rewritten() {
    let messages = r#"[ {"role":"user","content":"a"} ]"#;
    assert_eq!(original(messages).unwrap().fields, format!("\"messages\":{messages}"));
}

#[test]
fn what_else_a_message_holds_counts_as_by_openai_rules() {
    let call = r#"{"role":"assistant","content":"b","tool_calls":[{"function":{"name":"f","arguments":"1 2"}}]}"#;
    let messages = format!(r#"[{{"role":"user","content":"a"}},{call},{{"role":"user","content":"c"}}]"#);
    assert_eq!(original(&messages).unwrap().prompt, Tally { texts: 5, hanzi: 0, words: 6, tokens: 6 });
    let broken = messages.replace("\"f\"", "1");
    assert_refused(original(&broken), Reason::InvalidParameter, "messages[1].tool_calls[0].function.name");
}

#[test]
fn the_options_work_as_ever() {
    let body = r#"{"messages":[{"role":"user","content":"1+100="}],"stream":true,"user":"张三","max_tokens":5,"n":2}"#;
    let call = read(Endpoint::Chat, Rules::Original, body).unwrap();
    assert_eq!(
        (call.stream, call.end_user.as_deref(), call.max_output, call.choices),
        (true, Some("张三"), Some(5), 2)
    );
}

proptest! {
    /// The rule said again, by taking messages away one round after the other.
    #[test]
    fn forgetting_follows_its_rule(rounds in prop::collection::vec((1..900_usize, 1..900_usize), 0..8), last in 1..2100_usize) {
        let mut lengths: Vec<usize> = rounds.iter().flat_map(|(question, answer)| [*question, *answer]).collect();
        lengths.push(last);
        let mut expected = conversation(&lengths);
        let answer = original(&Value::from(expected.clone()).to_string());
        if last > 2000 {
            prop_assert_eq!(answer.unwrap_err().reason, Reason::ContentTooLong);
            return Ok(());
        }
        let characters = |messages: &[Value]| -> usize {
            messages.iter().map(|message| message["content"].as_str().unwrap().chars().count()).sum()
        };
        while characters(&expected) > 2000 {
            expected.drain(..2);
        }
        let mut prompt = Tally::default();
        for message in &expected {
            prompt.add_text(message["content"].as_str().unwrap());
        }
        let call = answer.unwrap();
        prop_assert_eq!(call.fields, format!("\"messages\":{}", Value::from(expected)));
        prop_assert_eq!(call.prompt, prompt);
    }
}
