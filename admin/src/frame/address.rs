//! Where a request comes from.

use std::net::IpAddr;

use actix_web::HttpRequest;
use shared::peer::behind_proxies;

use super::side::Side;

/// The address that a request comes from; `None` when the connection has none.
pub(crate) fn address(request: &HttpRequest, side: &Side) -> Option<IpAddr> {
    let forwarded = request.headers().get_all("x-forwarded-for").map(|line| line.as_bytes());
    request.peer_addr().map(|peer| behind_proxies(peer.ip(), forwarded, &side.trusted))
}
