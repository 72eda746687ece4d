//! The ledger, proved: against a model, against attacks, and under concurrency.

mod books;
mod model;
mod records;
mod sweeping;
mod writer;
