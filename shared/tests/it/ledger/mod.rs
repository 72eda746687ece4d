//! The ledger, proved: against a model, against attacks, and under concurrency.

pub(crate) mod books;
mod end_users;
mod failing;
mod findings;
mod house;
mod last_audits;
mod line_sums;
mod lines;
pub(crate) mod model;
mod no_false_alarm;
mod office;
pub(crate) mod only_postgres;
mod only_sqlite;
mod open_holds;
mod records;
mod rolling;
mod scene;
mod sweeping;
mod writer;
