//! The surface over a real server, a real database and a worker that does what the test says.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in what helps it"
)]

mod app;
mod blocked_users;
mod bodies;
mod calls;
mod client;
mod connections;
mod cors;
mod description;
mod limits;
mod log;
mod networks;
mod order;
mod records;
mod refusals;
mod refused_counts;
mod slow_records;
mod streams;
mod worker;
