//! The ledger, proved: against a model, against attacks, and under concurrency.

mod attacks;
mod books;
mod failing;
mod findings;
mod model;
mod no_false_alarm;
mod office;
mod records;
mod scene;
mod sweeping;
mod writer;
