//! What bounds calls that are asked for again, in this process.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::byte_room::{ByteRoom, ByteShare};
use crate::id::TenantId;
use crate::idempotency::{MOST_BYTES, Mark};

/// What those who wait for another call, and the answers that are given again, may take of the memory, in bytes.
const ROOM_BYTES: usize = 256 * 1024 * 1024;
/// What one tenant may have of it: whoever repeats large calls, or does not read what is given again, keeps nobody else waiting.
const TENANTS_ROOM_BYTES: usize = ROOM_BYTES / 4;
/// What each takes at least, in bytes: so at most 8192 wait, and 2048 of one tenant.
const LEAST_BYTES: usize = 32 * 1024;
/// What an answer that is given again takes while it is opened, in bytes: sealed and open.
pub(super) const REPLAY_BYTES: usize = 2 * MOST_BYTES;

type Key = (TenantId, [u8; 32]);

/// Who waits, and whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    /// Of each tenant, and with `None` of all.
    room: Arc<ByteRoom<Option<TenantId>>>,
    turns: Mutex<HashSet<Key>>,
}

/// Room that is taken until this is dropped.
#[derive(Debug)]
pub(super) struct Place(ByteShare<Option<TenantId>>);

impl Place {
    /// Gives back all but so many bytes.
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        self.0.shrink_to(bytes.max(LEAST_BYTES));
    }
}

impl Repeats {
    /// Room for so many bytes. `None` when there is none left, or none for this tenant.
    pub(super) fn place(&self, tenant: TenantId, bytes: usize) -> Option<Place> {
        let bounds = vec![(None, ROOM_BYTES), (Some(tenant), TENANTS_ROOM_BYTES)];
        let mut share = ByteShare::new(Arc::clone(&self.room), bounds);
        share.grow_to(bytes.max(LEAST_BYTES)).then_some(Place(share))
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
    fn what_waits_has_a_bound_and_a_tenant_has_a_quarter() {
        let repeats = Repeats::default();
        let fill = |tenant, bytes| std::iter::from_fn(|| repeats.place(TenantId(tenant), bytes)).collect::<Vec<_>>();
        let mut replays = fill(1, REPLAY_BYTES);
        assert_eq!(replays.len(), 8);
        replays[0].shrink_to(0);
        assert_eq!(fill(1, LEAST_BYTES).len(), (REPLAY_BYTES - LEAST_BYTES) / LEAST_BYTES);
        drop(replays);
        let waiting: Vec<_> = (1..=5).map(|tenant| fill(tenant, 0)).collect();
        assert_eq!(waiting.iter().map(Vec::len).collect::<Vec<_>>(), [2048, 2048, 2048, 2048, 0]);
        drop(waiting);
        assert!(repeats.room.is_empty(), "{repeats:?}");
    }
}
