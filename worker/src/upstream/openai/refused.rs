//! What to make of a provider's reply that is not a success.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde_json::Value;

use super::super::UpstreamError;
use super::super::redact::Redaction;

/// How much of a refusal is read; what comes behind is not needed to understand it.
const BODY_LIMIT: usize = 64 * 1024;
/// How long a refusal's body is waited for; the status alone decides what happens next.
const BODY_WAIT: Duration = Duration::from_secs(5);
/// The longest path of a field that is passed on, in bytes.
const LONGEST_PARAM: usize = 100;
/// The longest pause that a provider can ask for, in seconds.
const LONGEST_PAUSE_S: u64 = 3600;

/// Reads the reply and says what it means for the job.
pub(super) async fn read(response: Response, redaction: &Redaction<'_>) -> UpstreamError {
    let status = response.status();
    if status == StatusCode::TOO_MANY_REQUESTS {
        return UpstreamError::RateLimited { retry_after_s: retry_after_s(response.headers()) };
    }
    if status.is_redirection() {
        return UpstreamError::failed(format!("status {status}: redirects are not followed; correct the base URL"));
    }
    let complaint = Complaint::read(&read_start(response).await, redaction);
    let rejected =
        matches!(status, StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY);
    if rejected {
        let message =
            complaint.message.unwrap_or_else(|| "the provider refused this request without saying why".to_owned());
        return UpstreamError::Rejected { status: status.as_u16(), message, param: complaint.param };
    }
    UpstreamError::failed(match complaint.message {
        Some(message) => format!("status {status}: {message}"),
        None => format!("status {status}"),
    })
}

async fn read_start(mut response: Response) -> Bytes {
    let mut start = BytesMut::new();
    let reading = async {
        // A reply that breaks off is worth what came of it.
        while let Ok(Some(piece)) = response.chunk().await {
            let room = BODY_LIMIT - start.len();
            start.extend_from_slice(&piece[..piece.len().min(room)]);
            if start.len() == BODY_LIMIT {
                return;
            }
        }
    };
    // Late is as good as broken off.
    let _ = tokio::time::timeout(BODY_WAIT, reading).await;
    start.freeze()
}

/// What the provider said, redacted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Complaint {
    message: Option<String>,
    param: Option<String>,
}

impl Complaint {
    /// OpenAI's `{"error":{"message","param"}}`, and the shapes of those who are nearly compatible: `error` as a text,
    /// `message` or `detail` at the top, all of it in an array, a list of `detail`s with a `msg` each.
    fn read(body: &[u8], redaction: &Redaction<'_>) -> Self {
        let Ok(body) = serde_json::from_slice::<Value>(body) else {
            return Self::default();
        };
        let body = body.get(0).unwrap_or(&body);
        let error = body.get("error").filter(|error| error.is_object()).unwrap_or(body);
        let message = [
            error.get("message"),
            body.get("error"),
            body.get("message"),
            body.get("detail"),
            body.pointer("/detail/0/msg"),
        ];
        let message = message.into_iter().flatten().find_map(Value::as_str);
        let message = message.map(|text| redaction.apply(text)).filter(|text| !text.is_empty());
        let param = error.get("param").and_then(Value::as_str).filter(|param| is_param(param, redaction));
        Self { message, param: param.map(str::to_owned) }
    }
}

fn is_param(param: &str, redaction: &Redaction<'_>) -> bool {
    let in_a_path = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.[]$".contains(&byte);
    !param.is_empty() && param.len() <= LONGEST_PARAM && param.bytes().all(in_a_path) && redaction.apply(param) == param
}

/// The pause that the provider asks for: `retry-after-ms` (OpenAI's own) or `Retry-After` in seconds; a date is not read.
fn retry_after_s(headers: &HeaderMap) -> Option<u32> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    let seconds = match number("retry-after-ms") {
        Some(milliseconds) => milliseconds.div_ceil(1000),
        None => number(RETRY_AFTER.as_str())?,
    };
    u32::try_from(seconds.clamp(1, LONGEST_PAUSE_S)).ok()
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};
    use rstest::rstest;

    use super::*;

    const REDACTION: Redaction<'_> = Redaction {
        upstream_model: "gpt-4o",
        public_model: "gpt-4",
        key: Some("sk-provider"),
        host: Some("api.openai.com"),
    };

    #[rstest]
    #[case::openai(
        r#"{"error":{"message":"no gpt-4o","type":"x","param":"messages[0].role","code":null}}"#,
        Some("no gpt-4"),
        Some("messages[0].role")
    )]
    #[case::text(r#"{"error":"too long"}"#, Some("too long"), None)]
    #[case::message_at_the_top(r#"{"object":"error","message":"bad","param":"top_p"}"#, Some("bad"), Some("top_p"))]
    #[case::detail(r#"{"detail":"bad"}"#, Some("bad"), None)]
    #[case::details(r#"{"detail":[{"loc":["body"],"msg":"field required"}]}"#, Some("field required"), None)]
    #[case::array(r#"[{"error":{"message":"bad"}}]"#, Some("bad"), None)]
    #[case::null_param(r#"{"error":{"message":"bad","param":null}}"#, Some("bad"), None)]
    #[case::numbers(r#"{"error":{"message":7,"param":7}}"#, None, None)]
    #[case::blank(r#"{"error":{"message":"\n"}}"#, None, None)]
    #[case::param_with_a_secret(r#"{"error":{"message":"bad","param":"sk-provider"}}"#, Some("bad"), None)]
    #[case::param_that_is_text(r#"{"error":{"message":"bad","param":"your messages"}}"#, Some("bad"), None)]
    #[case::page("<html>bad</html>", None, None)]
    #[case::nothing("", None, None)]
    fn complaints(#[case] body: &str, #[case] message: Option<&str>, #[case] param: Option<&str>) {
        let expected = Complaint { message: message.map(str::to_owned), param: param.map(str::to_owned) };
        assert_eq!(Complaint::read(body.as_bytes(), &REDACTION), expected);
    }

    #[rstest]
    #[case::seconds(&[("retry-after", "7")], Some(7))]
    #[case::zero(&[("retry-after", "0")], Some(1))]
    #[case::long(&[("retry-after", "86400")], Some(3600))]
    #[case::date(&[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")], None)]
    #[case::negative(&[("retry-after", "-1")], None)]
    #[case::milliseconds_are_rounded_up(&[("retry-after-ms", "1001")], Some(2))]
    #[case::milliseconds_are_finer(&[("retry-after-ms", "2500"), ("retry-after", "60")], Some(3))]
    #[case::odd_milliseconds(&[("retry-after-ms", "soon"), ("retry-after", "60")], Some(60))]
    #[case::nothing(&[], None)]
    fn pauses(#[case] headers: &[(&'static str, &'static str)], #[case] expected: Option<u32>) {
        let headers =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        assert_eq!(retry_after_s(&headers.collect()), expected);
    }
}
