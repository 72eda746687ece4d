//! The developers' HTTP surface: authenticate, validate, admit, wait for the answer or stream it.
//!
//! A request enters through `visit` (request id, access log, metrics) and one of the files in `endpoints`. A call then goes
//! `body` (header key, content type, size) -> `call` (JSON, body key, policy, rules, admission) -> `stream` or one whole reply.
//! Whatever is refused on the way is a [`shared::refusal::Refusal`], which `reply` turns into HTTP.
//!
//! A client that leaves is noticed by actix-web, which drops the handler's future or the reply's body, and the call with it:
//! dropping a [`shared::admission::Call`] is what calls it off. The server therefore sets `h1_allow_half_closed(false)`.

mod allowance;
mod arithmetic;
mod auth;
mod body;
mod call;
mod cors;
mod description;
mod docs;
mod endpoints;
mod freshness;
mod idempotency_key;
mod number;
mod peer;
mod period;
mod query;
mod reply;
mod room;
mod routes;
mod steps;
mod stream;
mod surface;
mod visit;

pub use routes::configure;
