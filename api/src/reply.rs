//! How a refusal and a success look in HTTP.
//!
//! [`Refusal`] is the domain's word for it; [`Refused`] is the same on its way out, with what belongs to HTTP only.

use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::ContentType;
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use bytes::Bytes;
use serde::Serialize;
use shared::refusal::{Reason, Refusal};
use shared::secret_key::without_keys;
use utoipa::ToSchema;

/// A refusal as a reply.
pub(crate) struct Refused {
    refusal: Refusal,
    headers: Vec<(&'static str, String)>,
    /// What the client still sends, when nobody will read it.
    unread: Cell<Option<Payload>>,
}

impl Refused {
    /// The same with one more header.
    pub(crate) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same, of a request whose body stays unread. As long as it lives the server knows that, closes the connection after the
    /// reply, and lingers until the client had the time to see it.
    pub(crate) fn leaving_unread(self, payload: Payload) -> Self {
        self.unread.set(Some(payload));
        self
    }

    /// What is said.
    pub(crate) const fn refusal(&self) -> &Refusal {
        &self.refusal
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let refusal =
            Refusal { message: without_keys(refusal.message), param: refusal.param.map(without_keys), ..refusal };
        Self { refusal, headers: Vec::new(), unread: Cell::new(None) }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.refusal, formatter)
    }
}

impl fmt::Debug for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.refusal, formatter)
    }
}

impl ResponseError for Refused {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.refusal.reason.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let refusal = &self.refusal;
        let mut response = HttpResponse::build(self.status_code());
        response.content_type(ContentType::json());
        if let Some(seconds) = refusal.retry_after_s {
            response.insert_header(("Retry-After", seconds));
        }
        match refusal.reason {
            Reason::MissingApiKey | Reason::InvalidApiKey => {
                response.insert_header(("WWW-Authenticate", "Bearer"));
            }
            // Clients that try failures again by themselves would not be helped, or would be charged twice.
            Reason::InsufficientQuota | Reason::OutcomeUnknown | Reason::AnswerNotKept => {
                response.insert_header(("x-should-retry", "false"));
            }
            _ => {}
        }
        for (name, value) in &self.headers {
            response.insert_header((*name, value.as_str()));
        }
        let bytes = Bytes::from(serde_json::to_vec(&Failure::of(refusal)).unwrap_or_default());
        match self.unread.take() {
            Some(unread) => response.body(BoxBody::new(BesideUnread { bytes: Some(bytes), _unread: unread })),
            None => response.body(bytes),
        }
    }
}

/// What every failure is told with: one object for the original service's clients and for OpenAI's.
#[derive(Serialize, ToSchema)]
pub(crate) struct Failure<'a> {
    /// The reason as a number, whose first three digits are the HTTP status.
    code: u32,
    /// What is wrong and what to do, for a person; the same as `error.message`.
    msg: &'a str,
    error: ErrorObject<'a>,
}

impl<'a> Failure<'a> {
    pub(crate) fn of(refusal: &'a Refusal) -> Self {
        Self { code: refusal.reason.code(), msg: &refusal.message, error: ErrorObject::of(refusal) }
    }
}

/// OpenAI's error object.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorObject<'a> {
    /// What is wrong and what to do, for a person.
    message: &'a str,
    /// The family of the reason.
    r#type: &'static str,
    /// The field that is at fault, such as `messages[2].role`.
    #[schema(required)]
    param: Option<&'a str>,
    /// The name of the reason.
    code: &'static str,
}

impl<'a> ErrorObject<'a> {
    pub(crate) fn of(refusal: &'a Refusal) -> Self {
        Self {
            message: &refusal.message,
            r#type: refusal.reason.family(),
            param: refusal.param.as_deref(),
            code: refusal.reason.name(),
        }
    }
}

/// A whole reply that keeps the unread rest of its request alive until it was sent.
struct BesideUnread {
    bytes: Option<Bytes>,
    _unread: Payload,
}

impl MessageBody for BesideUnread {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        self.bytes.as_ref().map_or(BodySize::None, |bytes| BodySize::Sized(bytes.len() as u64))
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(self.bytes.take().map(Ok))
    }
}

/// A success with this object.
pub(crate) fn json<T: Serialize>(object: &T) -> Result<HttpResponse, Refused> {
    json_with(HttpResponse::Ok(), object)
}

/// A reply with this object.
pub(crate) fn json_with<T: Serialize>(mut response: HttpResponseBuilder, object: &T) -> Result<HttpResponse, Refused> {
    let bytes = serde_json::to_vec(object).map_err(|error| {
        tracing::error!(%error, "a reply could not be written");
        Refusal::internal()
    })?;
    Ok(response.content_type(ContentType::json()).body(bytes))
}
