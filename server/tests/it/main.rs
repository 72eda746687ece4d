//! The real program, from outside: its commands, its listeners, its data folder.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in what helps it"
)]

mod bad_input;
mod beside_load;
mod billing;
mod browser;
mod call_details;
mod chaos;
mod clients;
mod commands;
mod console;
mod crash;
mod demo;
mod exact_balance;
mod idempotency;
mod inputs;
mod limits;
mod page_budget;
mod processes;
mod providers;
mod samples;
mod secrets;
mod streaming;
mod support;
mod upstream_failures;
