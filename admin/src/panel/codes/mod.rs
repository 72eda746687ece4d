//! Redeem codes: the batches, a new one, and one batch with what became of its codes.

mod list;
mod make;
mod revoke;
mod show;

use actix_web::HttpRequest;
use shared::clock::Timestamp;
use shared::ledger::LedgerError;
use shared::vouchers::{self, Batch, BatchId, VoucherError};

pub(super) use self::list::list;
pub(super) use self::make::{make, new};
pub(super) use self::revoke::{ask_to_revoke, revoke};
pub(super) use self::show::show;
use super::Panel;
use crate::frame::failure::{Failed, Problem};

/// The batch whose id stands in a path.
async fn find(request: &HttpRequest, panel: &Panel, id: &str) -> Result<Batch, Failed> {
    let not_found = || Failed::new(request, Problem::NotFound);
    let id = BatchId(id.parse().map_err(|_| not_found())?);
    let found = panel.database.read(move |connection| vouchers::batch(connection, id)).await;
    found.map_err(|error| Failed::database(request, &error))?.ok_or_else(not_found)
}

/// The failure of an operation on codes that no field of a form is to blame for.
fn failed(request: &HttpRequest, error: VoucherError) -> Failed {
    match error {
        VoucherError::Ledger(LedgerError::Database(error)) => Failed::database(request, &error),
        other => Failed::internal(request, other),
    }
}

/// The state of a batch as pages show it.
pub(crate) struct Shown {
    /// The class of its shape and colour.
    pub(crate) class: &'static str,
    /// In words.
    pub(crate) english: &'static str,
    /// In words.
    pub(crate) chinese: &'static str,
}

/// Whether codes of a batch can be redeemed, for a page.
pub(crate) fn state_of(batch: &Batch, now: &Timestamp) -> Shown {
    let shown = |class, english, chinese| Shown { class, english, chinese };
    if batch.revoked.is_some() {
        shown("bad", "revoked", "已作废")
    } else if batch.expires_at <= *now {
        shown("off", "expired", "已过期")
    } else if batch.redeemed >= batch.count {
        shown("off", "all redeemed", "已全部兑换")
    } else {
        shown("good", "redeemable", "可兑换")
    }
}
