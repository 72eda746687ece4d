//! Bodies that are not JSON, or not an object.

use rstest::rstest;

use super::*;

#[rstest]
fn bodies_that_are_not_json(
    #[values(
        &b""[..], b" ", b"\n\t", b"{", b"}", b"[", b"]", b"[]", b"[1]", b"null", b"true", b"1", b"-1.5", b"\"{}\"", b"\"", b"x", b"{}x",
        b"{}{}", b"{},", b"{} []", b"{\"a\"}", b"{\"a\":}", b"{\"a\":1", b"{\"a\":1,", b"{\"a\":1,}", b"{,}", b"{,\"a\":1}", b"{\"a\" 1}",
        b"{\"a\"=1}", b"{\"a\":1;}", b"{\"a\":1 \"b\":2}", b"{a:1}", b"{'a':1}", b"{\"a\":'b'}", b"{1:2}", b"{null:2}", b"{\"a\":[1,]}",
        b"{\"a\":[,1]}", b"{\"a\":[1 2]}", b"{\"a\":[1}", b"{\"a\":{\"b\":1,}}", b"{\"a\":{\"b\"}}", b"{\"a\":01}", b"{\"a\":+1}",
        b"{\"a\":.5}", b"{\"a\":1.}", b"{\"a\":1e}", b"{\"a\":-}", b"{\"a\":0x1}", b"{\"a\":NaN}", b"{\"a\":Infinity}", b"{\"a\":-Infinity}",
        b"{\"a\":None}", b"{\"a\":True}", b"{\"a\":undefined}", b"{\"a\":tru}", b"{\"a\":nul}", b"{\"a\":\"}", b"{\"a\":\"\n\"}",
        b"{\"a\":\"\0\"}", b"{\"a\":\"\\x\"}", b"{\"a\":\"\\u12\"}", b"{\"a\":\"\\u12g4\"}", b"{\"a\":\"\\\"}", b"{/* a */}", b"{} // a",
        b"{\"a\":1,\"a\":1}", b"{\"a\":1,\"\\u0061\":2}", b"{\"model\":1,\"b\":2,\"model\":1}", b"{\"a\":\"\\ud800\"}", b"{\"\\udc00\":1}",
        b"{\"a\":[{\"b\":\"\\udc00\\ud800\"}]}", b"\xEF\xBB\xBF{}", b"\xFF\xFE{\0}\0", b"{\"a\":\"\xC4\xE3\"}", b"{\"a\":\"\xED\xA0\x80\"}",
        b"{\"a\":\"\xC0\x80\"}", b"a=1&b=2", b"<html>"
    )]
    body: &[u8],
) {
    let refusal = Body::parse(body).expect_err("this is not a body");
    assert_eq!((refusal.reason, refusal.param), (Reason::InvalidJson, None), "{}", refusal.message);
    let is_empty = body.iter().all(u8::is_ascii_whitespace);
    let names_the_place = refusal.message.contains("line ") && refusal.message.contains(" column ");
    assert_eq!(is_empty, !names_the_place, "{}", refusal.message);
}

#[rstest]
#[case::trailing_comma(
    "{\"a\":1,\n}",
    "trailing comma; remove the comma of line 1 column 7, which stands before the closing } at line 2 column 1"
)]
#[case::trailing_comma_in_a_list(
    "{\"a\":[\"你\", ]}",
    "remove the comma of line 1 column 10, which stands before the closing ] at line 1 column 12"
)]
#[case::trailing_comma_deeper(
    "{\"a\":{\"b\":1,\n\n}}",
    "the comma of line 1 column 12, which stands before the closing } at line 3 column 1"
)]
#[case::single_quotes("{\n'a':1}", "double quotes (\"), not in single ones ('), at line 2 column 1")]
#[case::single_quotes_of_a_value("{\"a\":'b'}", "double quotes (\"), not in single ones ('), at line 1 column 6")]
#[case::colon("{\"你好\" 1}", "expected `:` at line 1 column 7")]
#[case::early_end("{\"a\":\n[1", "it ends too early, at line 2 column 2")]
#[case::something_behind("{}\n\n x", "trailing characters at line 3 column 2")]
#[case::list("\n[{}]", "must be a JSON object, {...}, but begins with something else at line 2 column 1")]
#[case::twice("{\"a\":1,\n\"a\":1}", "the name \"a\" comes twice at line 2 column ")]
#[case::half_pair("{\n\"a\":\n\"b\\ud83d\"}", "half of a surrogate pair, without its other half, at line 3 column ")]
#[case::byte_order_mark("\u{FEFF}{}", "there is a byte order mark, which is to be left out, at line 1 column 1")]
#[case::empty(" ", "the body is empty; send a JSON object")]
fn what_to_mend(#[case] body: &str, #[case] expected: &str) {
    let message = Body::parse(body.as_bytes()).unwrap_err().message;
    assert!(message.contains(expected), "{message}");
}

#[test]
fn the_place_of_bytes_that_are_no_text() {
    let message = Body::parse(b"{\n \"a\":\"\xC4\xE3\xBA\xC3\"}").unwrap_err().message;
    assert_eq!(message, "the body is not UTF-8 at line 2 column 7; encode it as UTF-8");
}

#[test]
fn nesting_ends_before_any_stack_does() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(Body::parse(nested(99).as_bytes()).is_ok());
    for depth in [100, 200, 1_000_000] {
        assert_eq!(Body::parse(nested(depth).as_bytes()).unwrap_err().reason, Reason::InvalidJson);
    }
    assert_eq!(Body::parse("{\"a\":".repeat(1_000_000).as_bytes()).unwrap_err().reason, Reason::InvalidJson);
}

#[test]
fn a_message_repeats_only_a_little_of_the_body() {
    let name = "长".repeat(10_000);
    let message = Body::parse(format!("{{\"{name}\":1,\"{name}\":2}}").as_bytes()).unwrap_err().message;
    assert_eq!(message.matches('长').count(), 50, "{message}");
    let answers = [
        chat_with(&format!("\"stop\":[\"{name}\",{name:?},1,2,3]")),
        chat_with(&format!("\"temperature\":\"{name}\"")),
        chat_with(&format!("\"n\":{}", "9".repeat(10_000))),
        chat_with(&format!("\"logit_bias\":{{\"{name}\":1000}}")),
        chat_with(&format!("\"stop\":{{\"{name}\":1}}")),
        chat_of(&format!(r#"[{{"role":"{name}","content":"a"}}]"#)),
        chat_of(&format!(r#"[{{"role":"user","content":"a","content":"{name}"}}]"#)),
        read(Endpoint::Chat, Rules::Original, &format!(r#"{{"messages":[{{"role":"{name}","content":"a"}}]}}"#)),
        read(Endpoint::Images, Rules::OpenAi, &format!(r#"{{"prompt":"a","size":"{name}"}}"#)),
        read(Endpoint::Images, Rules::OpenAi, &format!(r#"{{"prompt":"a","model":"{name}"}}"#)),
    ];
    for answer in answers {
        let refusal = answer.unwrap_err();
        assert!(refusal.message.matches(['长', '9']).count() <= 50, "{}", refusal.message);
        assert!(refusal.message.chars().count() < 350, "{}", refusal.message);
        assert!(refusal.param.unwrap_or_default().chars().count() < 80);
    }
}

#[rstest]
#[case::absent("{}", None)]
#[case::null(r#"{"api_secret_key":null}"#, None)]
#[case::empty(r#"{"api_secret_key":""}"#, None)]
#[case::deeper(r#"{"a":{"api_secret_key":"k"}}"#, None)]
#[case::plain(r#"{"api_secret_key":"sk-xy1"}"#, Some("sk-xy1"))]
#[case::escaped(r#"{"api\u005fsecret_key":"sk\u002dxy1"}"#, Some("sk-xy1"))]
fn the_secret_key_in_the_body(#[case] body: &str, #[case] expected: Option<&str>) {
    let body = Body::parse(body.as_bytes()).unwrap();
    assert_eq!(body.api_secret_key().unwrap().as_deref(), expected);
    assert!(!format!("{body:?}").contains("sk-"));
}

#[rstest]
#[case::list(r#"{"api_secret_key":["sk-xy1"]}"#)]
#[case::object(r#"{"api_secret_key":{"sk-xy1":1}}"#)]
#[case::number(r#"{"api_secret_key":123456}"#)]
#[case::truth(r#"{"api_secret_key":true}"#)]
fn a_secret_key_that_is_no_string(#[case] body: &str) {
    let refusal = Body::parse(body.as_bytes()).unwrap().api_secret_key().unwrap_err();
    assert_eq!((refusal.reason, refusal.param.as_deref()), (Reason::InvalidParameter, Some("api_secret_key")));
    assert_eq!(refusal.message, "api_secret_key must be a string");
}

#[rstest]
#[case::role(r#"{"messages":[{"role":"sk-xySECRET","content":"a"}]}"#)]
#[case::bias(r#"{"messages":[{"role":"user","content":"a"}],"logit_bias":{"sk-xySECRET":"sk-xySECRET"}}"#)]
#[case::escaped(r#"{"messages":"s\u006b-xySECRET"}"#)]
#[case::cut(r#"{"messages":"a                                               sk-xySECRET"}"#)]
#[case::name(r#"{"sk-xySECRET":1,"sk-xySECRET":2}"#)]
fn a_secret_in_the_wrong_place_is_not_repeated(#[case] body: &str) {
    for rules in [Rules::Original, Rules::OpenAi] {
        let refusal = read(Endpoint::Chat, rules, body).unwrap_err();
        assert!(!format!("{refusal:?}").contains("xy"), "{refusal:?}");
    }
}

#[rstest]
#[case::chat(Endpoint::Chat, "{}", "gpt-3.5")]
#[case::chat_null(Endpoint::Chat, r#"{"model":null}"#, "gpt-3.5")]
#[case::image(Endpoint::Images, "{}", "dall-e-3")]
#[case::named(Endpoint::Completions, r#"{"model":"m"}"#, "m")]
#[case::escaped(Endpoint::Chat, r#"{"model":"\u4f60"}"#, "你")]
fn models_that_are_asked_for(#[case] endpoint: Endpoint, #[case] body: &str, #[case] expected: &str) {
    assert_eq!(Body::parse(body.as_bytes()).unwrap().model(endpoint, &models()).unwrap(), expected);
}

#[rstest]
#[case::number(Endpoint::Chat, "1", Reason::InvalidParameter)]
#[case::list(Endpoint::Images, "[\"m\"]", Reason::InvalidParameter)]
#[case::empty(Endpoint::Completions, "\"\"", Reason::InvalidParameter)]
#[case::null(Endpoint::Completions, "null", Reason::MissingParameter)]
fn models_that_are_none(#[case] endpoint: Endpoint, #[case] model: &str, #[case] reason: Reason) {
    assert_refused(read(endpoint, Rules::OpenAi, &format!("{{\"model\":{model}}}")), reason, "model");
}

#[test]
fn the_longest_name_of_a_model() {
    let of_length = |length| {
        let body = format!("{{\"model\":\"{}\"}}", "长".repeat(length));
        Body::parse(body.as_bytes()).unwrap().model(Endpoint::Chat, &models())
    };
    assert!(of_length(200).is_ok());
    assert_eq!(of_length(201).unwrap_err().reason, Reason::InvalidParameter);
}
