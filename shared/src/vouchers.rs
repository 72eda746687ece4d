//! Redeem codes: made in batches, each worth the same, shown once, and redeemed once for a tenant's balance.
//!
//! A code is 128 random bits, and only a hash of it is kept (`code`). Redeeming (`redeem`) writes one row whose key allows one redemption a
//! code, in the transaction of the top-up. A batch that fell into wrong hands is revoked (`batch`).

mod batch;
mod code;
mod list;
mod redeem;

pub use batch::{Batch, BatchId, NewBatch, batch, create, revoke};
pub use code::{Code, NotACode, generate};
pub use list::{CodeRecord, Redemption, batches, codes, named};
pub use redeem::{Redeemed, redeem, redeemed_by, worth};

use crate::clock::Timestamp;
use crate::db::DbError;
use crate::ledger::LedgerError;
use crate::money::Amount;

/// The most characters of a batch's name.
pub const LONGEST_NAME: usize = 100;
/// The most codes of a batch.
pub const MOST_CODES: usize = 10_000;

/// Why a batch was not made or changed, or a code not redeemed. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum VoucherError {
    /// Another batch has this name.
    #[error("a batch named \"{0}\" exists already")]
    NameTaken(String),
    /// The name is empty or too long, or has control characters or space around it.
    #[error("a batch's name has 1 to {LONGEST_NAME} characters, no control characters, and no space around it")]
    BadName,
    /// The value is zero or below.
    #[error("a code is worth more than zero, not {0}")]
    BadValue(Amount),
    /// There are too few or too many codes.
    #[error("a batch has 1 to {MOST_CODES} codes, not {0}")]
    BadCount(usize),
    /// The codes would have expired before they were made.
    #[error("the codes would expire at {}, which has passed", .0.to_rfc3339())]
    BadExpiry(Timestamp),
    /// Who does it is no line of 1 to 320 characters.
    #[error("who makes or revokes a batch is named by 1 to 320 characters without control characters")]
    BadAuthor,
    /// There is no such batch.
    #[error("there is no batch {}", .0.0)]
    Unknown(BatchId),
    /// The ledger did not take the top-up.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<DbError> for VoucherError {
    fn from(error: DbError) -> Self {
        Self::Ledger(error.into())
    }
}

impl From<diesel::result::Error> for VoucherError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Ledger(error.into())
    }
}
