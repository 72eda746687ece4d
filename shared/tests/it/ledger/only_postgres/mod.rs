//! What is about PostgreSQL's own ways: several processes on one database, its rules and rights, and what happens when it goes away.

mod attacks;
mod joining;
mod lost_answers;
mod outages;
mod processes;
mod remembered;
pub(crate) mod role;
mod shared_accounts;
mod slow_reads;
