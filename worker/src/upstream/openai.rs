//! Providers that speak OpenAI's protocol, at any base URL.

mod refused;
#[cfg(test)]
mod tests;

use std::error::Error as _;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Response, Url};
use secrecy::{ExposeSecret, SecretString};
use shared::catalogue::address::{AddressError, check_base_url};
use shared::queue::{Endpoint, Job};

use super::redact::Redaction;
use super::resolver::WithoutLinkLocal;
use super::{Answer, Event, Events, Upstream, UpstreamError, sse};

/// The client that all channels share. It follows no redirect, uses no proxy of the environment, reaches no link-local
/// address and unpacks nothing; connecting (name, TCP and TLS) takes at most `connect_timeout`.
///
/// rustls needs its process-wide crypto provider installed before.
///
/// # Errors
/// When TLS cannot be set up; usually because the machine has no CA certificates (package `ca-certificates`).
pub(crate) fn http_client(connect_timeout: Duration) -> Result<Client, reqwest::Error> {
    Client::builder()
        .user_agent(concat!("xiaoyi/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .dns_resolver(WithoutLinkLocal)
        .connect_timeout(connect_timeout)
        .tcp_nodelay(true)
        .pool_max_idle_per_host(32)
        // Shorter than what servers usually keep, so that a call seldom meets a connection that is being closed.
        .pool_idle_timeout(Duration::from_secs(20))
        .build()
}

/// How much of an answer is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// A whole answer, in bytes.
    pub(crate) whole: usize,
    /// A line or an event of a stream, in bytes.
    pub(crate) line: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { whole: 64 * 1024 * 1024, line: sse::LINE_LIMIT }
    }
}

/// One channel of this kind.
pub(crate) struct OpenAi {
    client: Client,
    base_url: Url,
    key: Option<SecretString>,
    authorization: Option<HeaderValue>,
    limits: Limits,
}

/// Why a channel's settings cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SetupError {
    /// The base URL is refused.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The key cannot be sent.
    #[error(
        "the provider's key holds characters that a header cannot carry; look for a line break or a quotation mark"
    )]
    Key,
}

impl OpenAi {
    /// The way to the provider at `base_url` (such as `https://api.openai.com/v1`; a query in it is kept), with its
    /// key if it wants one.
    ///
    /// # Errors
    /// [`SetupError`]
    pub(crate) fn new(
        client: Client,
        base_url: &str,
        key: Option<SecretString>,
        limits: Limits,
    ) -> Result<Self, SetupError> {
        let base_url = check_base_url(base_url)?;
        let authorization = key.as_ref().map(authorization).transpose()?;
        Ok(Self { client, base_url, key, authorization, limits })
    }

    fn redaction<'a>(&'a self, job: &'a Job, upstream_model: &'a str) -> Redaction<'a> {
        Redaction {
            upstream_model,
            public_model: &job.model,
            key: self.key.as_ref().map(ExposeSecret::expose_secret),
            host: self.base_url.host_str(),
        }
    }

    fn url(&self, endpoint: Endpoint) -> Url {
        let mut url = self.base_url.clone();
        // An http URL always has a path.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(endpoint.path().split('/'));
        }
        url
    }

    async fn send(&self, job: &Job, upstream_model: &str) -> Result<Response, UpstreamError> {
        let body = request_body(job, upstream_model)?;
        let accept = if job.stream { "text/event-stream" } else { "application/json" };
        let mut request = self
            .client
            .post(self.url(job.endpoint))
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, accept)
            .body(body);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        request.send().await.map_err(|error| broken("the call cannot be made", error))
    }
}

#[async_trait]
impl Upstream for OpenAi {
    async fn call(&self, job: &Job, upstream_model: &str) -> Result<Answer, UpstreamError> {
        let response = self.send(job, upstream_model).await?;
        if !response.status().is_success() {
            return Err(refused::read(response, &self.redaction(job, upstream_model)).await);
        }
        if !job.stream {
            return read_whole(response, self.limits.whole).await.map(Answer::Whole);
        }
        if !is_event_stream(&response) {
            return Err(UpstreamError::failed("the reply to a streamed call is not text/event-stream"));
        }
        Ok(Answer::Stream(Box::new(Stream::new(response, self.limits.line))))
    }

    fn redact(&self, job: &Job, upstream_model: &str, text: &str) -> String {
        self.redaction(job, upstream_model).apply(text)
    }
}

/// A streamed answer. The connection is let go as soon as its end, or an error, has been seen.
struct Stream {
    response: Option<Response>,
    parser: sse::Parser,
}

impl Stream {
    fn new(response: Response, line_limit: usize) -> Self {
        Self { response: Some(response), parser: sse::Parser::new(line_limit) }
    }

    async fn read(&mut self) -> Result<Option<Event>, UpstreamError> {
        let nonsense = |error: sse::TooLong| UpstreamError::failed(error.to_string());
        while let Some(response) = &mut self.response {
            if let Some(data) = self.parser.next().map_err(nonsense)? {
                // Some providers keep a connection alive with empty events.
                if !data.trim_ascii().is_empty() {
                    return Ok(Some(event(data)));
                }
                continue;
            }
            match response.chunk().await {
                Ok(Some(piece)) => self.parser.push(piece),
                Ok(None) => {
                    self.response = None;
                    let last = self.parser.finish().map_err(nonsense)?;
                    return Ok(last.filter(|data| !data.trim_ascii().is_empty()).map(event));
                }
                Err(error) => return Err(broken("the stream broke off", error)),
            }
        }
        Ok(None)
    }
}

#[async_trait]
impl Events for Stream {
    async fn next(&mut self) -> Result<Option<Event>, UpstreamError> {
        let event = self.read().await;
        if matches!(event, Ok(Some(Event::Done)) | Err(_)) {
            self.response = None;
        }
        event
    }
}

fn event(data: Bytes) -> Event {
    if data.trim_ascii() == b"[DONE]" { Event::Done } else { Event::Data(data) }
}

/// The job's fields with the provider's name of the model behind them. Nothing is parsed and written again, so
/// numbers and unknown fields reach the provider as the caller wrote them.
fn request_body(job: &Job, upstream_model: &str) -> Result<String, UpstreamError> {
    let model = serde_json::to_string(upstream_model).map_err(|error| UpstreamError::failed(error.to_string()))?;
    let stream = match job.stream_options.as_str() {
        _ if !job.stream => String::new(),
        "" => r#","stream":true,"stream_options":{"include_usage":true}"#.to_owned(),
        others => format!(r#","stream":true,"stream_options":{{{others},"include_usage":true}}"#),
    };
    let comma = if job.fields.is_empty() { "" } else { "," };
    Ok(format!(r#"{{{}{comma}"model":{model}{stream}}}"#, job.fields))
}

async fn read_whole(mut response: Response, limit: usize) -> Result<Bytes, UpstreamError> {
    let too_large = || UpstreamError::failed(format!("the answer is over {limit} bytes"));
    let announced = usize::try_from(response.content_length().unwrap_or(0)).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(too_large());
    }
    let mut whole = BytesMut::new();
    while let Some(piece) = response.chunk().await.map_err(|error| broken("the answer broke off", error))? {
        if whole.len() + piece.len() > limit {
            return Err(too_large());
        }
        whole.extend_from_slice(&piece);
    }
    match whole.trim_ascii_start().first() {
        Some(b'{') => Ok(whole.freeze()),
        Some(_) => Err(UpstreamError::failed("the answer is not a JSON object")),
        None => Err(UpstreamError::failed("the answer is empty")),
    }
}

fn is_event_stream(response: &Response) -> bool {
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = content_type.split(';').next().unwrap_or("");
    essence.trim().eq_ignore_ascii_case("text/event-stream")
}

fn authorization(key: &SecretString) -> Result<HeaderValue, SetupError> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose_secret())).map_err(|_| SetupError::Key)?;
    value.set_sensitive(true);
    Ok(value)
}

/// The error with all its causes, without the URL.
fn broken(what: &str, error: reqwest::Error) -> UpstreamError {
    let error = error.without_url();
    let mut why = format!("{what}: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        why.push_str(": ");
        why.push_str(&error.to_string());
        cause = error.source();
    }
    UpstreamError::Failed { why }
}
