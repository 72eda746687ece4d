//! Details of calls, for people: how each one went that got a hold, how many were refused before that, and how the channels do.
//!
//! Nothing here is a source of truth about money. Whoever settles a call hands its details to the [`CallLog`], which never waits and may
//! lose some; what a call cost is always read from the ledger.

mod detail;
mod filter;
mod health;
mod list;
mod log;
mod purge;
mod record;
mod refusals;
mod refused;
mod store;
mod totals;

pub use detail::{CallDetail, HoldDetail, ReversalDetail, SettlementDetail, detail};
pub use filter::{CallFilter, NotAStatus, StatusFilter};
pub(crate) use health::TriesRow;
pub use health::{ChannelHealth, channel_health};
pub use list::{CallExport, CallPage, CallRow, RowCharge, list};
pub use log::CallLog;
pub use purge::purge;
pub use record::{CallRecord, Status};
pub use refusals::{RefusedFilter, RefusedKey, RefusedRow, refused, refused_keys};
pub(crate) use store::{CLASS_BOUNDS_MS, CLASSES};
pub use totals::{CallTotals, totals};

/// Counts over time are kept for quarters of an hour: every time zone's days begin at a multiple of it.
pub(crate) const SLOT_MS: i64 = 900_000;
/// A day of UTC.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// The last multiple of `step` that is not after `moment`.
pub(crate) const fn floor(moment: i64, step: i64) -> i64 {
    moment - moment.rem_euclid(step)
}
