//! What request bodies may take of the memory, all together.
//!
//! Each body has a limit of its own; thousands of them at a time, each as slow as it may be, would still be more than the process has. So
//! they take room here, all that they have declared as soon as more than a little has arrived, until their calls are in the queue, which
//! bounds large calls until they end. Small bodies touch nothing of this.

use std::net::IpAddr;
use std::sync::Arc;

use shared::byte_room::{ByteRoom, ByteShare};
use shared::config::LimitsSettings;
use shared::id::TenantId;

/// Up to this much of a body takes no room, in bytes: no more than the buffers of its connection may hold beside it.
pub(crate) const FREE_BYTES: usize = 16 * 1024;
/// A body of unknown length takes room in steps, so that it seldom asks for it, in bytes.
const STEP_BYTES: usize = 64 * 1024;

/// Whose body it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sender {
    /// A tenant's, by a key in a header.
    Tenant(TenantId),
    /// Somebody's in this network, whose key may stand in the body; of a connection without an address in none.
    Network(Option<IpAddr>),
}

/// Who may take so much and no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Bounded {
    All,
    /// Alone it keeps no other one out.
    Tenant(TenantId),
    /// All whose key is in no header: anyone may send that, and may keep nobody out who has shown a key.
    Keyless,
    /// One network of those.
    Network(Option<IpAddr>),
}

/// The room of a process.
#[derive(Debug)]
pub(crate) struct Room {
    /// In bytes.
    all: usize,
    taken: Arc<ByteRoom<Bounded>>,
}

impl Room {
    /// All of it free.
    pub(crate) fn new(limits: &LimitsSettings) -> Self {
        Self { all: limits.bodies_bytes(), taken: Arc::default() }
    }

    /// A share of nothing yet.
    pub(crate) fn share(&self, sender: Sender) -> Share {
        let all = self.all;
        let bounds = match sender {
            Sender::Tenant(tenant) => vec![(Bounded::All, all), (Bounded::Tenant(tenant), all / 2)],
            Sender::Network(network) => {
                vec![(Bounded::All, all), (Bounded::Keyless, all / 4), (Bounded::Network(network), all / 8)]
            }
        };
        Share(ByteShare::new(Arc::clone(&self.taken), bounds))
    }
}

/// The room that one body takes, until this is dropped.
#[derive(Debug)]
pub(crate) struct Share(ByteShare<Bounded>);

impl Share {
    /// Takes room for a body of which `arrived` bytes are there: for all that it has declared, so that it is refused before it was sent in
    /// vain; else for the next step, up to `limit`. Gives whether there was enough.
    #[must_use]
    pub(crate) fn cover(&mut self, arrived: usize, declared: Option<usize>, limit: usize) -> bool {
        let step = || arrived.next_multiple_of(STEP_BYTES).min(limit);
        arrived <= self.0.bytes() || self.0.grow_to(declared.unwrap_or_else(step).max(arrived))
    }
}

#[cfg(test)]
mod tests;
