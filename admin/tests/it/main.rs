//! The pages over a real server and a real database, by a client that does what a browser does without scripts.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in what helps it"
)]

mod access;
mod audit;
mod call;
mod channels;
mod codes;
mod console;
mod dashboard;
mod keys;
mod ledger;
mod models;
mod routes;
mod search;
mod settings;
mod signing_in;
mod staff;
mod support;
mod tenants;
mod texts;
mod top_ups;
mod usage;
mod usage_sums;
