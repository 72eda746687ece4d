//! Releasing a hold that nobody waits for, however long the database takes to come back.

use std::time::Duration;

use super::{Ended, Ledger, LedgerError};
use crate::id::{RequestId, TenantId};

/// How often it is tried; with the pauses and the ledger's own timeout, for at least a minute.
const TRIES: u32 = 30;
/// The pause between two tries.
const PAUSE: Duration = Duration::from_secs(2);

/// Voids a request's hold unless it is settled, and tries again while the database does not answer. In the end the sweeper expires it.
pub async fn release(ledger: &Ledger, request_id: RequestId, account: TenantId) {
    for _ in 0..TRIES {
        match ledger.end(request_id, account, Ended::Voided).await {
            // Released now, settled before, or never held: that is what was wanted.
            Ok(_) => return,
            Err(LedgerError::Stopped) => break,
            Err(error) => tracing::warn!(%request_id, %error, "a hold could not be released; trying again"),
        }
        tokio::time::sleep(PAUSE).await;
    }
    tracing::error!(%request_id, "a hold could not be released; the sweeper will expire it");
}
