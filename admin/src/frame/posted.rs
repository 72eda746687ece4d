//! What a form sends. Its fields are given to a handler only if the form came from a page of the same session.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::{BodyStream, to_bytes_limited};
use actix_web::dev::Payload;
use actix_web::rt::time::timeout;
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use shared::csrf;

use super::cookie;
use super::failure::{Failed, Problem};
use super::side::Side;

/// The most bytes of a form.
const LONGEST_FORM: usize = 64 * 1024;
/// The most bytes of one that is sent before there is a session: anybody can send as many of these as there are connections.
const LONGEST_ANYBODYS: usize = 16 * 1024;
/// How long a form may take to arrive.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The fields of a form that a page of this session has sent.
#[derive(Debug)]
pub(crate) struct Posted<T>(pub(crate) T);

/// The fields of a form that is sent before there is a session (signing in): only where it came from is checked, by the guard.
#[derive(Debug)]
pub(crate) struct PostedByAnyone<T>(pub(crate) T);

/// The fields of a form that is only a button.
#[derive(Debug, Deserialize)]
pub(crate) struct Nothing {}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    csrf: String,
}

impl<T: DeserializeOwned + 'static> FromRequest for Posted<T> {
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Failed>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let body = arrived(&request, payload, LONGEST_FORM).await?;
            let side = request.extensions().get::<Arc<Side>>().cloned();
            let session = side.and_then(|side| cookie::token(&request, &side));
            let given: Token = serde_urlencoded::from_bytes(&body).map_err(|error| unreadable(&request, &error))?;
            if !session.is_some_and(|session| csrf::is_right(&session, &given.csrf)) {
                return Err(Failed::new(&request, Problem::NoToken));
            }
            serde_urlencoded::from_bytes(&body).map(Self).map_err(|error| unreadable(&request, &error))
        })
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for PostedByAnyone<T> {
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Failed>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let body = arrived(&request, payload, LONGEST_ANYBODYS).await?;
            serde_urlencoded::from_bytes(&body).map(Self).map_err(|error| unreadable(&request, &error))
        })
    }
}

async fn arrived(request: &HttpRequest, payload: Payload, most: usize) -> Result<Bytes, Failed> {
    let unreadable = |why: String| Failed::new(request, Problem::Unreadable(why));
    match timeout(LONGEST_WAIT, to_bytes_limited(BodyStream::new(payload), most)).await {
        Ok(Ok(Ok(body))) => Ok(body),
        Ok(_) => Err(unreadable(format!("a form has at most {} KiB, and must arrive whole", most / 1024))),
        Err(_) => Err(unreadable(format!("a form must arrive within {} s", LONGEST_WAIT.as_secs()))),
    }
}

/// What is wrong, without what was typed: it may be a password.
fn unreadable(request: &HttpRequest, error: &serde_urlencoded::de::Error) -> Failed {
    let text = error.to_string();
    let named = text.strip_prefix("missing field ").map(|field| format!("the field {field} is missing"));
    Failed::new(
        request,
        Problem::Unreadable(named.unwrap_or_else(|| "a field has a value that it cannot have".to_owned())),
    )
}
