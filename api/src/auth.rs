//! Who calls: the Secret Key in a header. The one in a body is read in `call`.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use shared::keyring::Caller;
use shared::refusal::{Reason, Refusal};

use crate::peer;
use crate::reply::Refused;
use crate::surface::Surface;
use crate::visit::Visit;

/// The holder of a key that came in a header. A handler that takes one is for holders of a valid key only.
pub(crate) struct KeyHolder(pub(crate) Caller);

impl FromRequest for KeyHolder {
    type Error = Refused;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Refused>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let surface = request.app_data::<web::Data<Surface>>().ok_or_else(Refusal::internal)?;
            let visit = request.extensions().get::<Visit>().cloned().ok_or_else(Refusal::internal)?;
            let caller = from_headers(surface, &visit, &request).await?;
            Ok(Self(caller.ok_or_else(missing)?))
        })
    }
}

/// Who presents a key in a header; `None` when no header holds one.
pub(crate) async fn from_headers(
    surface: &Surface,
    visit: &Visit,
    request: &HttpRequest,
) -> Result<Option<Caller>, Refusal> {
    match presented(request.headers()) {
        // No key has other characters than ASCII, so whatever becomes of them, it is an invalid key.
        Some(key) => authenticate(surface, visit, request, &String::from_utf8_lossy(key)).await.map(Some),
        None => Ok(None),
    }
}

/// Who presents this key, from an address that the key allows.
pub(crate) async fn authenticate(
    surface: &Surface,
    visit: &Visit,
    request: &HttpRequest,
    key: &str,
) -> Result<Caller, Refusal> {
    let caller = surface.deployment.keyring.authenticate(key).await?;
    visit.set_caller(&caller);
    if caller.networks.is_some() {
        let address = peer::address(request, &surface.deployment.settings.trusted.proxies);
        if !caller.may_call_from(address) {
            return Err(not_from_here(visit, address));
        }
    }
    Ok(caller)
}

/// The address is for the log only: it may be that of a proxy of ours.
fn not_from_here(visit: &Visit, address: Option<IpAddr>) -> Refusal {
    let address = address.map(tracing::field::display);
    tracing::info!(request_id = %visit.request_id(), address, "a key was used from an address that it does not allow");
    let message = "this Secret Key may not be used from this address; call from one of the networks that it was issued for, or ask \
                   the operator of the service, who finds the address in the log under the request id";
    Refusal::new(Reason::IpNotAllowed, message)
}

/// What a caller without a key is told.
pub(crate) fn missing() -> Refusal {
    let message = "no Secret Key was sent: send it in the header \"Authorization: Bearer KEY\" or \"x-api-key: KEY\", \
                   or (POST) as api_secret_key in the JSON body";
    Refusal::new(Reason::MissingApiKey, message)
}

/// The first key in the headers. An Authorization that is empty or not Bearer counts as absent.
fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    let bearer = headers.get_all(AUTHORIZATION).find_map(|value| bearer(value.as_bytes()));
    let key = || headers.get_all("x-api-key").map(|value| value.as_bytes().trim_ascii()).find(|key| !key.is_empty());
    bearer.or_else(key)
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let value = value.trim_ascii();
    let end = value.iter().position(u8::is_ascii_whitespace)?;
    let (scheme, key) = value.split_at(end);
    scheme.eq_ignore_ascii_case(b"bearer").then(|| key.trim_ascii())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing(&[], None)]
    #[case::bearer(&[("authorization", "Bearer one")], Some("one"))]
    #[case::scheme_in_any_case(&[("authorization", "bEARER   one ")], Some("one"))]
    #[case::other_header(&[("x-api-key", " two ")], Some("two"))]
    #[case::bearer_wins(&[("x-api-key", "two"), ("authorization", "Bearer one")], Some("one"))]
    #[case::basic_is_absent(&[("authorization", "Basic one"), ("x-api-key", "two")], Some("two"))]
    #[case::empty_is_absent(&[("authorization", ""), ("x-api-key", "two")], Some("two"))]
    #[case::bearer_of_nothing_is_absent(&[("authorization", "Bearer "), ("x-api-key", "two")], Some("two"))]
    #[case::bare_is_absent(&[("authorization", "one")], None)]
    #[case::both_empty(&[("authorization", "Bearer"), ("x-api-key", "")], None)]
    #[case::later_bearer(&[("authorization", "Basic x"), ("authorization", "Bearer one")], Some("one"))]
    fn the_first_key_wins(#[case] headers: &[(&'static str, &'static str)], #[case] expected: Option<&str>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        assert_eq!(presented(&map), expected.map(str::as_bytes));
    }
}
