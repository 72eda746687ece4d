//! The ledger: append-only double entry with holds.
//!
//! Every movement is an [`Operation`]. `decide` is the one piece of code that says what an operation does; `store` reads what the
//! decisions need and writes what they gave; `caller` asks, `writer` lets many callers share one commit; `audit` proves the result from outside;
//! `sweeper` ends the holds of the dead; `records` reads balances and usage, `statement` the lines of a customer.

mod audit;
mod caller;
mod components;
mod decide;
mod house;
mod inbox;
mod line_filter;
mod line_sums;
mod lines;
mod link;
mod memory;
mod open_holds;
mod operation;
mod records;
mod release;
mod state;
mod statement;
mod store;
mod sweeper;
mod writer;

pub use audit::{
    Audit, AuditMade, AuditReport, AuditScope, Finding, LastAudits, Violation, audit, keep_audit, last_audits,
};
pub use caller::{Ledger, WriterSettings};
pub use components::{ChargeTotal, TokenCharge};
pub use house::{HouseBalances, house_balances};
pub use line_filter::{LineFilter, LineKind, NotALineKind};
pub use line_sums::{LineSide, LineSum, LineSums, line_sums};
pub use lines::{LedgerLine, LineExport, LinePage, line, lines};
pub use open_holds::OpenHolds;
pub use operation::{
    Capture, Captured, Charge, Ended, Hold, HoldDecision, Operation, Outcome, Reversal, Settlement, SettlementOutcome,
    TopUp, TopUpDecision, TopUpReversal, TopUpSource,
};
pub use records::{Balance, Grouping, Period, Totals, UsageRow, balance, charged_between, totals, usage};
pub use release::{release, settle, undo};
pub(crate) use statement::charge_of;
pub use statement::{ChargeDetail, Page, StatementEntry, statement, statement_page};
pub use store::{apply_one, open_account};
pub use sweeper::{Sweeper, heartbeat, register_process};

use crate::db::DbError;
use crate::id::TenantId;

/// The house account that money comes from when a customer pays us.
pub const CASH: i64 = 1;
/// The house account that captures are paid to.
pub const REVENUE: i64 = 2;
/// The house account that bears what a call cost above its hold and the free balance.
pub const WRITE_OFF: i64 = 3;
/// The house account that money comes from when a customer redeems a code.
pub const PROMOTION: i64 = 4;
/// The first id of a customer's account.
pub const FIRST_CUSTOMER: i64 = 1001;

/// Why the ledger gave no decision. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// No account belongs to this tenant.
    #[error("tenant {0} has no account")]
    NoSuchAccount(TenantId),
    /// An amount is below zero (a payment: not above it), or one leaves the range of 64 bits.
    #[error("an amount is below zero or too large for the ledger")]
    TooLarge,
    /// The database failed; the operation was not carried out.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The writer's line is full, or it did not answer in time. After `timed_out` the operation may still be carried out.
    #[error("the ledger's writer did not answer in time")]
    TimedOut,
    /// The writer has stopped.
    #[error("the ledger's writer has stopped")]
    Stopped,
}

impl From<diesel::result::Error> for LedgerError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(DbError::Query(error))
    }
}
