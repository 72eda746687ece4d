//! What ends a call that nobody waits for, however long the database takes to come back.

use std::time::Duration;

use super::{Ended, Ledger, LedgerError, Operation, Outcome};
use crate::id::{RequestId, TenantId};

/// How often it is tried; with the pauses and the ledger's own timeout, for at least a minute.
const TRIES: u32 = 30;
/// The pause between two tries.
const PAUSE: Duration = Duration::from_secs(2);

/// Voids a request's hold unless it is settled: see [`settle`].
pub async fn release(ledger: &Ledger, request_id: RequestId, account: TenantId) -> bool {
    settle(ledger, request_id, Operation::End { request_id, account, ended: Ended::Voided }).await
}

/// Settles a request by `operation`, unless it is settled, and tries again while the database does not answer. In the end the sweeper
/// expires its hold. Gives whether it was this that settled the request.
pub async fn settle(ledger: &Ledger, request_id: RequestId, operation: Operation) -> bool {
    for _ in 0..TRIES {
        match ledger.run(operation.clone()).await {
            Ok(Outcome::Captured(captured)) => {
                captured.warn_of_write_off(request_id);
                return true;
            }
            Ok(Outcome::Ended) => return true,
            // Settled before, or never held: that is what was wanted.
            Ok(_) => return false,
            Err(LedgerError::Stopped) => break,
            Err(error) => tracing::warn!(%request_id, %error, "a call could not be settled; trying again"),
        }
        tokio::time::sleep(PAUSE).await;
    }
    tracing::error!(%request_id, "a call could not be settled; the sweeper will expire its hold");
    false
}

/// Makes it true that a request whose answer reached nobody costs nothing: voids its hold, or gives back what was charged for it. Tries again
/// while the database does not answer. In the end a hold is the sweeper's; a charge stays, and the log says so.
pub async fn undo(ledger: &Ledger, request_id: RequestId, account: TenantId) {
    if release(ledger, request_id, account).await {
        return;
    }
    for _ in 0..TRIES {
        match ledger.reverse_capture(request_id, account).await {
            Ok(_) => return,
            Err(LedgerError::Stopped) => break,
            Err(error) => tracing::warn!(%request_id, %error, "a charge could not be given back; trying again"),
        }
        tokio::time::sleep(PAUSE).await;
    }
    tracing::error!(%request_id, "it is not known whether a call whose answer reached nobody was charged");
}
