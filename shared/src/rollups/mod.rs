//! Sums of what was charged, so that a year is read in a moment and to the last 1e-9.
//!
//! The process that leads goes through the ledger in the order of request ids and adds each charge to a few sums (`roll`), up to the first
//! hold that is still open and no nearer to now than a hold may take to be committed: below that mark nothing can be added any more, whatever
//! clocks and commits do. (A mark by the time of charging would need a guess how late a commit can come.) What was asked is then the sums and,
//! read from the ledger itself, what lies beyond the mark: exact at every moment, also while the sums are made for the first time. A charge
//! that is given back later is taken out again where it was counted, so sums and single charges always agree.
//!
//! A question is planned (`plan`: which sums, and which charges, together are the answer), then read in one statement (`read`). `usage` asks,
//! `dashboard` puts what operators look at beside each other. Of end users only the sums of some days are kept (`purge`).

mod active;
mod cells;
mod channels;
mod dashboard;
mod days;
mod latency;
mod plan;
mod purge;
mod read;
mod roll;
mod state;
mod steps;
mod sums;
mod usage;

pub use dashboard::{ChannelDid, Dashboard, Figures, Point, dashboard};
pub(crate) use plan::{Conditions, END_OF_TIME};
pub use purge::purge;
pub use roll::{Rolled, step};
pub use steps::Step;
pub(crate) use sums::{Sums, billed};
pub use usage::{By, Largest, Usage, UsageFilter, charged, largest, usage, usage_behind};
pub(crate) use usage::{Total, received};
