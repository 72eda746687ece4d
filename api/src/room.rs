//! What request bodies may take of the memory, all together.
//!
//! Each body has a limit of its own; thousands of them at a time, each as slow as it may be, would still be more than the process has. So
//! they take room here, all that they have declared as soon as more than a little has arrived, until their calls are in the queue, which
//! bounds large calls until they end. Small bodies touch nothing of this.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shared::config::LimitsSettings;
use shared::id::TenantId;

/// Up to this much of a body takes no room, in bytes: no more than the buffers of its connection may hold beside it.
pub(crate) const FREE_BYTES: usize = 16 * 1024;
/// A body of unknown length takes room in steps, so that it seldom asks for it, in bytes.
const STEP_BYTES: usize = 64 * 1024;

/// Whose body it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Sender {
    /// A tenant's, by a key in a header.
    Tenant(TenantId),
    /// Somebody's in this network, whose key may stand in the body; of a connection without an address in none.
    Network(Option<IpAddr>),
}

/// The room of a process.
#[derive(Debug)]
pub(crate) struct Room {
    bounds: Bounds,
    taken: Mutex<Taken>,
}

/// How much may be taken, in bytes.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    all: usize,
    /// By one tenant: alone it keeps no other one out.
    tenant: usize,
    /// By all whose key is in no header: anyone may send that, and may keep nobody out who has shown a key.
    keyless: usize,
    /// By one network of those.
    network: usize,
}

/// What is taken, in bytes.
#[derive(Debug, Default)]
struct Taken {
    all: usize,
    keyless: usize,
    senders: HashMap<Sender, usize>,
}

impl Taken {
    fn take(&mut self, bounds: Bounds, sender: Sender, bytes: usize) -> bool {
        let own = self.senders.get(&sender).copied().unwrap_or_default() + bytes;
        let has_room = match sender {
            Sender::Tenant(_) => own <= bounds.tenant,
            Sender::Network(_) => own <= bounds.network && self.keyless + bytes <= bounds.keyless,
        };
        if !has_room || self.all + bytes > bounds.all {
            return false;
        }
        self.all += bytes;
        if matches!(sender, Sender::Network(_)) {
            self.keyless += bytes;
        }
        self.senders.insert(sender, own);
        true
    }

    fn give_back(&mut self, sender: Sender, bytes: usize) {
        self.all = self.all.saturating_sub(bytes);
        if matches!(sender, Sender::Network(_)) {
            self.keyless = self.keyless.saturating_sub(bytes);
        }
        if let Entry::Occupied(mut own) = self.senders.entry(sender) {
            *own.get_mut() = own.get().saturating_sub(bytes);
            if *own.get() == 0 {
                own.remove();
            }
        }
    }
}

impl Room {
    /// All of it free.
    pub(crate) fn new(limits: &LimitsSettings) -> Self {
        let all = limits.bodies_bytes();
        let bounds = Bounds { all, tenant: all / 2, keyless: all / 4, network: all / 8 };
        Self { bounds, taken: Mutex::default() }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The room that one body takes, until this is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    room: Arc<Room>,
    sender: Sender,
    bytes: usize,
}

impl Share {
    /// A share of nothing yet.
    pub(crate) const fn new(room: Arc<Room>, sender: Sender) -> Self {
        Self { room, sender, bytes: 0 }
    }

    /// Takes room for a body of which `arrived` bytes are there: for all that it has declared, so that it is refused before it was sent in
    /// vain; else for the next step, up to `limit`. Gives whether there was enough.
    #[must_use]
    pub(crate) fn cover(&mut self, arrived: usize, declared: Option<usize>, limit: usize) -> bool {
        if arrived <= self.bytes {
            return true;
        }
        let wanted = declared.unwrap_or_else(|| arrived.next_multiple_of(STEP_BYTES).min(limit)).max(arrived);
        let is_taken = self.room.taken().take(self.room.bounds, self.sender, wanted - self.bytes);
        if is_taken {
            self.bytes = wanted;
        }
        is_taken
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.room.taken().give_back(self.sender, self.bytes);
        }
    }
}

#[cfg(test)]
mod tests;
