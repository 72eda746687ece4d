//! The integration tests of the domain, in one binary.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in what helps it"
)]

mod audit_log;
mod call_lists;
mod call_log;
mod calls;
mod console_session;
mod dashboard;
mod database;
mod idempotency;
mod ledger;
mod many_calls;
mod place;
mod queue_lost;
mod records;
mod search;
mod staff;
