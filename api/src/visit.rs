//! One request as the access log and the metrics see it, and the id that its reply carries. No header, body or query is ever kept here.

use std::cell::Cell;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest};
use bytes::Bytes;
use shared::id::{RequestId, TenantId};
use shared::keyring::Caller;
use shared::limits::Allowances;
use shared::plain_path::plain_path;
use shared::refusal::Refusal;
use shared::secret_key::{KeyId, without_keys};

use crate::allowance;
use crate::reply::Refused;
use crate::routes::endpoint_of;

/// The status that the log and the metrics give a request whose client left before there was a reply.
const CLIENT_LEFT: u16 = 499;
/// The most characters of a path, or of a client's own request id, that are logged.
const LONGEST_SHOWN: usize = 200;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The request that is being answered. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Visit(Rc<Facts>);

struct Facts {
    method: String,
    path: String,
    endpoint: &'static str,
    client_request_id: Option<String>,
    started: Instant,
    request_id: Cell<Option<RequestId>>,
    caller: Cell<Option<(KeyId, TenantId)>>,
    status: Cell<u16>,
    error: Cell<Option<&'static str>>,
    allowances: Cell<Allowances>,
}

impl Visit {
    fn begin(request: &ServiceRequest) -> Self {
        let client_request_id =
            request.headers().get(&REQUEST_ID).map(|value| shown(&String::from_utf8_lossy(value.as_bytes())));
        Self(Rc::new(Facts {
            method: shown(request.method().as_str()),
            path: shown(&plain_path(request.path())),
            endpoint: endpoint_of(request.path()),
            client_request_id,
            started: Instant::now(),
            request_id: Cell::new(None),
            caller: Cell::new(None),
            status: Cell::new(CLIENT_LEFT),
            error: Cell::new(None),
            allowances: Cell::new(Allowances::default()),
        }))
    }

    /// The id of this request, made when it is first needed.
    pub(crate) fn request_id(&self) -> RequestId {
        self.0.request_id.get().unwrap_or_else(|| self.new_request_id())
    }

    /// A new id for this request. A call takes one when its body was read: the ledger's sweeper relies on holds having young ids.
    pub(crate) fn new_request_id(&self) -> RequestId {
        let request_id = RequestId::new();
        self.0.request_id.set(Some(request_id));
        request_id
    }

    /// The reply is that of an earlier request.
    pub(crate) fn set_request_id(&self, request_id: RequestId) {
        self.0.request_id.set(Some(request_id));
    }

    /// Remembers who calls.
    pub(crate) fn set_caller(&self, caller: &Caller) {
        self.0.caller.set(Some((caller.key, caller.tenant)));
    }

    /// Who calls, once that is known.
    pub(crate) fn caller(&self) -> Option<(KeyId, TenantId)> {
        self.0.caller.get()
    }

    /// Remembers what the caller's key may still do: every reply to this request says so.
    pub(crate) fn set_allowances(&self, allowances: Allowances) {
        self.0.allowances.set(allowances);
    }

    /// Remembers why there was no answer.
    pub(crate) fn set_error(&self, refusal: &Refusal) {
        self.0.error.set(Some(refusal.reason.name()));
    }
}

impl FromRequest for Visit {
    type Error = Refused;
    type Future = Ready<Result<Self, Refused>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(request.extensions().get::<Self>().cloned().ok_or_else(|| Refusal::internal().into()))
    }
}

/// Around every handler: gives the reply its `x-request-id` and its `x-ratelimit-*`, and the log and the metrics their line once the reply was sent.
pub(crate) async fn record(request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse<Recorded>, Error> {
    let visit = Visit::begin(&request);
    request.extensions_mut().insert(visit.clone());
    let line = Line { visit: visit.clone(), completed: false };
    let mut response = next.call(request).await?;
    visit.0.status.set(response.status().as_u16());
    if let Some(refused) = response.response().error().and_then(|error| error.as_error::<Refused>()) {
        visit.set_error(refused.refusal());
    }
    // A page beside the API has told its visitor an id of its own.
    if let Some(of_page) = response.headers().get(&REQUEST_ID).and_then(|value| value.to_str().ok()?.parse().ok()) {
        visit.0.request_id.set(Some(of_page));
    } else if let Ok(value) = HeaderValue::try_from(visit.request_id().to_string()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    allowance::tell(&visit.0.allowances.get(), response.headers_mut());
    Ok(response.map_body(|_, body| Recorded { body, line }))
}

/// A reply's body, which knows when it was sent.
pub(crate) struct Recorded {
    body: BoxBody,
    line: Line,
}

impl MessageBody for Recorded {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_next(context);
        if matches!(polled, Poll::Ready(None)) {
            self.line.completed = true;
        }
        polled
    }
}

/// The line in the log, written when it is dropped: after the reply, or when the client has left.
struct Line {
    visit: Visit,
    completed: bool,
}

impl Drop for Line {
    fn drop(&mut self) {
        let facts = &*self.visit.0;
        let elapsed = facts.started.elapsed();
        let status = facts.status.get();
        let (key, tenant) = facts.caller.get().unzip();
        tracing::info!(
            method = facts.method,
            path = facts.path,
            status,
            duration_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            request_id = %self.visit.request_id(),
            key = key.map(tracing::field::display),
            tenant = tenant.map(|tenant| tenant.0),
            error = facts.error.get(),
            client_left = (!self.completed).then_some(true),
            client_request_id = facts.client_request_id,
            "request"
        );
        let labels = [("endpoint", facts.endpoint.to_owned()), ("status", status.to_string())];
        metrics::counter!("xiaoyi_api_requests_total", &labels).increment(1);
        metrics::histogram!("xiaoyi_api_request_duration_seconds", "endpoint" => facts.endpoint).record(elapsed);
    }
}

/// A client's text, fit for a line of the log.
fn shown(text: &str) -> String {
    let printable = text.chars().filter(|character| !character.is_control()).collect();
    without_keys(printable).chars().take(LONGEST_SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::shown;

    #[rstest]
    #[case::plain("/v1/models/gpt-4", "/v1/models/gpt-4")]
    #[case::control_characters("a\nb\u{1b}[31m", "ab[31m")]
    #[case::a_key_by_mistake("/v1/models/sk-xyAAAA", "/v1/models/sk-xy...")]
    fn what_is_logged_of_a_clients_text(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(shown(text), expected);
    }

    #[test]
    fn what_is_logged_is_bounded() {
        assert_eq!(shown(&"长".repeat(10_000)).chars().count(), 200);
    }
}
