//! What a form sends. Its fields are given to a handler only if the form came from a page of the same session.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use shared::csrf;

use super::cookie;
use super::failure::{Failed, Problem};
use super::side::Side;

/// The most bytes of a form.
pub(crate) const LONGEST_FORM: usize = 64 * 1024;

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
        let (request, body) = (request.clone(), Bytes::from_request(request, payload));
        Box::pin(async move {
            let body = body.await.map_err(|_| too_long(&request))?;
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
        let (request, body) = (request.clone(), Bytes::from_request(request, payload));
        Box::pin(async move {
            let body = body.await.map_err(|_| too_long(&request))?;
            serde_urlencoded::from_bytes(&body).map(Self).map_err(|error| unreadable(&request, &error))
        })
    }
}

fn too_long(request: &HttpRequest) -> Failed {
    Failed::new(request, Problem::Unreadable(format!("a form has at most {} KiB", LONGEST_FORM / 1024)))
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
