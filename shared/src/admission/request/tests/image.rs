//! `images/generations`.

use rstest::rstest;

use super::*;

fn image(body: &str) -> Result<CallRequest, Refusal> {
    read(Endpoint::Images, Rules::Original, body)
}

#[rstest]
#[case::absent("{}", "prompt", Reason::MissingParameter)]
#[case::null(r#"{"prompt":null}"#, "prompt", Reason::MissingParameter)]
#[case::empty(r#"{"prompt":""}"#, "prompt", Reason::InvalidParameter)]
#[case::list(r#"{"prompt":["a"]}"#, "prompt", Reason::InvalidParameter)]
#[case::none(r#"{"prompt":"a","n":0}"#, "n", Reason::InvalidParameter)]
#[case::many(r#"{"prompt":"a","n":11}"#, "n", Reason::InvalidParameter)]
#[case::fraction(r#"{"prompt":"a","n":1.0}"#, "n", Reason::InvalidParameter)]
#[case::size(r#"{"prompt":"a","size":"1x1"}"#, "size", Reason::InvalidParameter)]
#[case::auto(r#"{"prompt":"a","size":"auto"}"#, "size", Reason::InvalidParameter)]
#[case::size_number(r#"{"prompt":"a","size":1024}"#, "size", Reason::InvalidParameter)]
#[case::format(r#"{"prompt":"a","response_format":"png"}"#, "response_format", Reason::InvalidParameter)]
#[case::format_object(
    r#"{"prompt":"a","response_format":{"type":"url"}}"#,
    "response_format",
    Reason::InvalidParameter
)]
#[case::user(r#"{"prompt":"a","user":1}"#, "user", Reason::InvalidParameter)]
#[case::stream(r#"{"prompt":"a","stream":true}"#, "stream", Reason::InvalidParameter)]
#[case::stream_text(r#"{"prompt":"a","stream":"no"}"#, "stream", Reason::InvalidParameter)]
fn refused(#[case] body: &str, #[case] param: &str, #[case] reason: Reason) {
    assert_refused(image(body), reason, param);
}

#[test]
fn the_longest_prompt() {
    let of_length = |length| format!("{{\"prompt\":\"{}\"}}", "😀".repeat(length));
    assert!(image(&of_length(1000)).is_ok());
    assert_refused(image(&of_length(1001)), Reason::ContentTooLong, "prompt");
}

#[rstest]
#[case::usual(r#"{"prompt":"a"}"#, 1, "1024x1024", r#""prompt":"a","size":"1024x1024""#)]
#[case::null(r#"{"size":null,"prompt":"a","n":null}"#, 1, "1024x1024", r#""size":"1024x1024","prompt":"a","n":null"#)]
#[case::asked_for(
    r#"{"prompt":"a","n":10,"size":"256x256","response_format":"b64_json","stream":false,"style":"vivid"}"#,
    10,
    "256x256",
    r#""prompt":"a","n":10,"size":"256x256","response_format":"b64_json","style":"vivid""#
)]
#[case::escaped(r#"{"prompt":"a","size":"\u003512x512"}"#, 1, "512x512", r#""prompt":"a","size":"\u003512x512""#)]
fn orders(#[case] body: &str, #[case] count: i64, #[case] size: &str, #[case] fields: &str) {
    let call = image(body).unwrap();
    assert_eq!(call.images, Some(ImageOrder { count, size: size.to_owned() }));
    assert_eq!((call.choices, call.candidates, call.max_output, call.stream), (count, count, None, false));
    assert_eq!(call.fields, fields);
    assert_eq!(call.model, "dall-e-3");
}

#[test]
fn a_model_without_the_usual_size_draws_its_first() {
    let limits = ModelLimits { image_sizes: vec!["1792x1024".to_owned(), "512x512".to_owned()], ..limits() };
    let body = Body::parse(br#"{"prompt":"a"}"#).unwrap();
    let call = body.call(Endpoint::Images, Rules::OpenAi, "m".to_owned(), &limits).unwrap();
    assert_eq!(call.images.map(|order| order.size).as_deref(), Some("1792x1024"));
    assert_eq!(call.fields, r#""prompt":"a","size":"1792x1024""#);
}

#[test]
fn the_sizes_are_named_in_a_refusal() {
    let message = image(r#"{"prompt":"a","size":"1x1"}"#).unwrap_err().message;
    assert_eq!(message, r#"size must be one of "256x256", "512x512", "1024x1024", not "1x1""#);
}
