//! The ledger, proved: against a model, against attacks, and under concurrency.
