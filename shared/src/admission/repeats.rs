//! What bounds calls that are asked for again, in this process.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::id::TenantId;
use crate::idempotency::{MOST_BYTES, Mark};

/// What those who wait for another call, and the answers that are given again, may take of the memory, in KiB.
const ROOM_KIB: usize = 256 * 1024;
/// What each takes at least, in bytes: so at most 8192 wait.
const LEAST_BYTES: usize = 32 * 1024;
/// What an answer that is given again takes, in bytes: sealed and open.
pub(super) const REPLAY_BYTES: usize = 2 * MOST_BYTES;

type Key = (TenantId, [u8; 32]);

/// Who waits, and whose turn it is.
#[derive(Debug)]
pub(super) struct Repeats {
    room: Arc<Semaphore>,
    turns: Mutex<HashSet<Key>>,
}

impl Default for Repeats {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(ROOM_KIB)), turns: Mutex::default() }
    }
}

impl Repeats {
    /// Room for so many bytes, until it is dropped. `None` when there is none left.
    pub(super) fn place(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let kib = u32::try_from(bytes.max(LEAST_BYTES) / 1024).ok()?;
        Arc::clone(&self.room).try_acquire_many_owned(kib).ok()
    }

    /// The right to begin the call of this mark, until it is dropped. `None` while somebody else has it.
    pub(super) fn turn(&self, tenant: TenantId, mark: Mark) -> Option<Turn<'_>> {
        let key = (tenant, *mark.key());
        let is_ours = self.turns().insert(key);
        // Made only then: dropping it gives the turn back.
        is_ours.then(|| Turn { repeats: self, key })
    }

    fn turns(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Repeats::turn`].
pub(super) struct Turn<'a> {
    repeats: &'a Repeats,
    key: Key,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.repeats.turns().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Endpoint;

    #[test]
    fn one_has_the_turn_of_a_mark() {
        let repeats = Repeats::default();
        let mark = |key: &str| Mark::new(Endpoint::Chat, key.as_bytes(), std::iter::empty());
        let first = repeats.turn(TenantId(1), mark("k"));
        assert!(first.is_some() && repeats.turn(TenantId(1), mark("k")).is_none());
        assert!(repeats.turn(TenantId(2), mark("k")).is_some() && repeats.turn(TenantId(1), mark("l")).is_some());
        drop(first);
        assert!(repeats.turn(TenantId(1), mark("k")).is_some());
    }

    #[test]
    fn what_waits_has_a_bound() {
        let repeats = Repeats::default();
        let replays: Vec<_> = std::iter::from_fn(|| repeats.place(REPLAY_BYTES)).collect();
        assert_eq!(replays.len(), 32);
        drop(replays);
        let waiting: Vec<_> = std::iter::from_fn(|| repeats.place(0)).collect();
        assert_eq!(waiting.len(), 8192);
    }
}
