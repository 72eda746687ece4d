//! Several processes of one service, on PostgreSQL and Redis. These start what they need themselves, so they are the same in every run.

mod fairness;
mod outages;
mod repetitions;
mod restarts;
mod sums;
