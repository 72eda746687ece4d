//! The surface over a real server, a real database and a worker that does what the test says.

mod app;
mod calls;
mod client;
mod connections;
mod order;
mod records;
mod refusals;
mod streams;
mod worker;
