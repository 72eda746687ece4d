//! Trials that are too long for a test: chaos and the benchmark.

pub mod bench;
pub mod chaos;
