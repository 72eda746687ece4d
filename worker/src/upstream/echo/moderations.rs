//! The echo channel's judgements: a text that names a category, such as "violence", is of that category.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use shared::queue::Job;

use super::super::UpstreamError;
use super::request::{parse, rejected};

/// OpenAI's, each with whether images are judged by it too.
const CATEGORIES: [(&str, bool); 13] = [
    ("harassment", false),
    ("harassment/threatening", false),
    ("hate", false),
    ("hate/threatening", false),
    ("illicit", false),
    ("illicit/violent", false),
    ("self-harm", true),
    ("self-harm/instructions", true),
    ("self-harm/intent", true),
    ("sexual", true),
    ("sexual/minors", false),
    ("violence", true),
    ("violence/graphic", true),
];

#[derive(Deserialize)]
struct Request {
    input: Input,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Input {
    Text(String),
    Texts(Vec<String>),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    text: Option<String>,
    image_url: Option<serde::de::IgnoredAny>,
}

pub(super) fn reply(job: &Job, model: &str) -> Result<Bytes, UpstreamError> {
    let request: Request = parse(job)?;
    let results: Vec<Value> = match request.input {
        Input::Text(text) => vec![judgement(&[&text], false)],
        Input::Texts(texts) => texts.iter().map(|text| judgement(&[text], false)).collect(),
        Input::Parts(parts) => {
            let texts: Vec<&str> = parts.iter().filter_map(|part| part.text.as_deref()).collect();
            vec![judgement(&texts, parts.iter().any(|part| part.image_url.is_some()))]
        }
    };
    if results.is_empty() {
        return Err(rejected("input must not be empty".to_owned()));
    }
    let id = format!("modr-{}", job.request_id.simple());
    Ok(Bytes::from(json!({"id": id, "model": model, "results": results}).to_string()))
}

/// Of all these texts together, and perhaps an image.
fn judgement(texts: &[&str], has_image: bool) -> Value {
    let is_of = |category: &str| texts.iter().any(|text| text.contains(category));
    let by_category = |value: &dyn Fn(&str, bool) -> Value| {
        let members = CATEGORIES.iter().map(|(category, sees)| ((*category).to_owned(), value(category, *sees)));
        Value::Object(members.collect::<Map<_, _>>())
    };
    let applied = |_: &str, sees_images: bool| {
        let text = (!texts.is_empty()).then_some("text");
        let image = (has_image && sees_images).then_some("image");
        Value::from_iter(text.into_iter().chain(image))
    };
    json!({
        "flagged": CATEGORIES.iter().any(|(category, _)| is_of(category)),
        "categories": by_category(&|category, _| is_of(category).into()),
        "category_scores": by_category(&|category, _| if is_of(category) { json!(0.99) } else { json!(0.0001) }),
        "category_applied_input_types": by_category(&applied),
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use shared::queue::Endpoint;

    use super::*;

    fn answer(fields: &str) -> Value {
        let job = crate::sample::job(Endpoint::Moderations, fields, false);
        serde_json::from_slice(&reply(&job, "up").unwrap()).unwrap()
    }

    fn flags(answer: &Value) -> Vec<bool> {
        answer["results"].as_array().unwrap().iter().map(|result| result["flagged"].as_bool().unwrap()).collect()
    }

    #[rstest]
    #[case::text(r#""input":"a kitten""#, &[false])]
    #[case::named(r#""input":"some self-harm there""#, &[true])]
    #[case::texts(r#""input":["hate","love"]"#, &[true, false])]
    #[case::parts(
        r#""input":[{"type":"text","text":"love"},{"type":"image_url","image_url":{"url":"u"}},{"type":"text","text":"hate"}]"#,
        &[true]
    )]
    fn judgements(#[case] fields: &str, #[case] expected: &[bool]) {
        let answer = answer(fields);
        assert_eq!(flags(&answer), expected);
        assert!(answer["id"].as_str().unwrap().starts_with("modr-") && answer["model"] == "up");
        for result in answer["results"].as_array().unwrap() {
            for (category, _) in CATEGORIES {
                let score = result["category_scores"][category].as_f64().unwrap();
                assert_eq!(score > 0.5, result["categories"][category].as_bool().unwrap(), "{category}");
            }
        }
    }

    #[test]
    fn what_was_looked_at() {
        let with_image = answer(r#""input":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"u"}}]"#);
        let types = &with_image["results"][0]["category_applied_input_types"];
        assert_eq!((&types["violence"], &types["hate"]), (&json!(["text", "image"]), &json!(["text"])));
        let only_image = answer(r#""input":[{"type":"image_url","image_url":{"url":"u"}}]"#);
        let types = &only_image["results"][0]["category_applied_input_types"];
        assert_eq!((&types["violence"], &types["hate"]), (&json!(["image"]), &json!([])));
    }

    #[rstest]
    #[case::nothing(r#""a":1"#)]
    #[case::number(r#""input":1"#)]
    #[case::none(r#""input":[]"#)]
    fn rejections(#[case] fields: &str) {
        let job = crate::sample::job(Endpoint::Moderations, fields, false);
        assert!(matches!(reply(&job, "m"), Err(UpstreamError::Rejected { status: 400, .. })));
    }
}
