//! Streamed answers (`stream: true`): what the events are, and what is charged for those that end otherwise.

mod clients;
mod events;
mod refusals;
