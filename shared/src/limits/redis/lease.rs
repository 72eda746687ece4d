//! The place of a call that runs: renewed while its permit lives, given back when that is dropped.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;
use tokio::time::timeout;
use uuid::Uuid;

use super::{LeaseTimes, Store};
use crate::limits::Lease;
use crate::secret_key::KeyId;

/// How long the end of a call waits until its place is free.
const RELEASE_WAIT: Duration = Duration::from_millis(500);

/// The name of a place.
pub(super) struct LeaseId {
    pub(super) key: KeyId,
    pub(super) member: String,
}

impl LeaseId {
    pub(super) fn new(key: KeyId) -> Self {
        Self { key, member: Uuid::now_v7().simple().to_string() }
    }
}

/// The side of the permit. Dropping it wakes the keeper.
#[derive(Debug)]
pub(super) struct RedisLease {
    ended: oneshot::Sender<()>,
    released: oneshot::Receiver<()>,
}

/// The side of the keeper.
pub(super) struct Place {
    /// Resolves when the permit is gone.
    ended: oneshot::Receiver<()>,
    /// Dropping it tells whoever waits that the place is free.
    released: oneshot::Sender<()>,
}

impl RedisLease {
    pub(super) fn new() -> (Self, Place) {
        let (end, ended) = oneshot::channel();
        let (release, released) = oneshot::channel();
        (Self { ended: end, released }, Place { ended, released: release })
    }
}

#[async_trait]
impl Lease for RedisLease {
    async fn release(self: Box<Self>) {
        let Self { ended, released } = *self;
        drop(ended);
        // It only ever ends by being dropped. If Redis is slow, the keeper goes on without us.
        let _ = timeout(RELEASE_WAIT, released).await;
    }
}

/// Renews the place until its permit is gone, then gives it back. One after the other, so that no renewal comes behind the release.
pub(super) async fn keep(store: &Store, lease: &LeaseId, place: Place, times: LeaseTimes) {
    let Place { mut ended, released } = place;
    let mut pause = times.first_renewal;
    while timeout(pause, &mut ended).await.is_err() {
        pause = match store.renew(lease, times.renewed_ms).await {
            Ok(()) => times.renewal,
            Err(error) => {
                tracing::warn!(%error, key = %lease.key, "the place of a running call could not be renewed");
                times.retry
            }
        };
    }
    if let Err(error) = store.release(lease).await {
        tracing::warn!(%error, key = %lease.key, "the place of an ended call could not be given back; it ends by itself");
    }
    drop(released);
}
