//! The echo channel's images: each is the same white dot, whatever size was asked for.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use shared::queue::Job;

use super::super::UpstreamError;
use super::request::parse;

/// A PNG of one white pixel, in base64.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mP4DwABAQEAHLCMmQAAAABJRU5ErkJggg==";
/// The most images that one call gives.
const MOST: usize = 128;

#[derive(Deserialize)]
struct Request {
    n: Option<usize>,
    response_format: Option<String>,
}

pub(super) fn reply(job: &Job, created: i64) -> Result<Bytes, UpstreamError> {
    let request: Request = parse(job)?;
    let count = job.images.as_ref().and_then(|order| usize::try_from(order.count).ok()).or(request.n).unwrap_or(1);
    let image = match request.response_format.as_deref() {
        Some("b64_json") => json!({"b64_json": PNG}),
        _ => json!({"url": format!("data:image/png;base64,{PNG}")}),
    };
    let data = vec![image; count.min(MOST)];
    Ok(Bytes::from(json!({"created": created, "data": data}).to_string()))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use rstest::rstest;
    use serde_json::Value;
    use shared::queue::{Endpoint, ImageOrder};

    use super::*;

    #[rstest]
    #[case::usual(r#""prompt":"a cat""#, None, 1, "url")]
    #[case::some(r#""prompt":"a cat","n":3,"response_format":"url""#, None, 3, "url")]
    #[case::base64(r#""prompt":"a cat","n":2,"response_format":"b64_json""#, None, 2, "b64_json")]
    #[case::nulls(r#""n":null,"response_format":null"#, None, 1, "url")]
    #[case::the_order_counts(r#""n":3"#, Some(2), 2, "url")]
    #[case::bounded(r#""n":1000000000"#, None, 128, "url")]
    fn table(#[case] fields: &str, #[case] ordered: Option<i64>, #[case] count: usize, #[case] member: &str) {
        let mut job = crate::sample::job(Endpoint::Images, fields, false);
        job.images = ordered.map(|count| ImageOrder { count, size: "256x256".to_owned() });
        let reply: Value = serde_json::from_slice(&reply(&job, 1_700_000_000).unwrap()).unwrap();
        assert_eq!(reply["created"], 1_700_000_000);
        let images = reply["data"].as_array().unwrap();
        assert_eq!(images.len(), count);
        for image in images {
            let text = image[member].as_str().unwrap();
            let base64 = if member == "url" { text.strip_prefix("data:image/png;base64,").unwrap() } else { text };
            let png = STANDARD.decode(base64).unwrap();
            assert!(
                png.starts_with(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01")
                    && png.ends_with(b"IEND\xae\x42\x60\x82")
            );
        }
    }
}
