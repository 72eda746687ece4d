//! Where a request comes from.

use std::net::IpAddr;

use actix_web::HttpRequest;
use shared::config::Cidr;
use shared::peer::behind_proxies;

/// The address that a request comes from; `None` when the connection has none.
pub(crate) fn address(request: &HttpRequest, trusted: &[Cidr]) -> Option<IpAddr> {
    let forwarded = request.headers().get_all("x-forwarded-for").map(|line| line.as_bytes());
    request.peer_addr().map(|peer| behind_proxies(peer.ip(), forwarded, trusted))
}
