//! What this process last heard of how many jobs wait, so that a look for room seldom has to ask.
//!
//! Each job that is submitted brings the numbers along. While they are well below the bounds a look costs nothing, and it may be wrong:
//! only `submit` decides. From three quarters of a bound on, Redis is asked each time, and what it says is remembered too. So beside a
//! flood of jobs nobody is let past who would be refused, and a process that has heard nothing for a second risks no more than one hold for it.
//! (The bounds on the bytes of large jobs are known to `submit` alone.)

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::super::{QueueLimits, SubmitError};
use crate::id::TenantId;

/// What was heard counts for so long.
const KNOWN_FOR: Duration = Duration::from_secs(1);
/// Tenants of which something is known. When there are more, those that count no more are forgotten, or all.
const TENANTS: usize = 4096;

/// How many wait, as far as is known.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    all: Option<Heard>,
    tenants: HashMap<TenantId, Heard>,
}

#[derive(Debug, Clone, Copy)]
struct Heard {
    waiting: usize,
    at: Instant,
}

impl Crowd {
    /// So many wait: of this tenant, and in all.
    pub(super) fn hear(&self, tenant: TenantId, own: usize, all: usize) {
        let at = Instant::now();
        let mut known = self.lock();
        known.all = Some(Heard { waiting: all, at });
        if own == 0 {
            // Nothing is known to stand in its way; most tenants, most of the time.
            known.tenants.remove(&tenant);
            return;
        }
        if known.tenants.len() >= TENANTS && !known.tenants.contains_key(&tenant) {
            known.tenants.retain(|_, heard| heard.counts());
            if known.tenants.len() >= TENANTS {
                known.tenants.clear();
            }
        }
        known.tenants.insert(tenant, Heard { waiting: own, at });
    }

    /// Whether a bound may be near.
    pub(super) fn is_near(&self, tenant: TenantId, limits: &QueueLimits) -> bool {
        let known = self.lock();
        let is_near = |heard: Option<&Heard>, bound: usize| {
            heard.is_some_and(|heard| heard.counts() && heard.waiting >= bound - bound / 4)
        };
        is_near(known.all.as_ref(), limits.capacity) || is_near(known.tenants.get(&tenant), limits.tenant_share)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heard {
    fn counts(self) -> bool {
        self.at.elapsed() < KNOWN_FOR
    }
}

/// What is said to who comes when so many wait.
pub(super) fn room_beside(own: usize, all: usize, limits: &QueueLimits) -> Result<(), SubmitError> {
    // The share first: a tenant is told what it can change itself.
    if own >= limits.tenant_share {
        return Err(SubmitError::TenantShareFull { share: limits.tenant_share });
    }
    if all >= limits.capacity { Err(SubmitError::Full) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::contract;

    const LIMITS: QueueLimits = QueueLimits { tenant_share: 8, ..contract::LIMITS };
    const A: TenantId = TenantId(1001);
    const B: TenantId = TenantId(1002);

    #[tokio::test(start_paused = true)]
    async fn a_bound_is_near_from_three_quarters_on_and_for_a_second() {
        let crowd = Crowd::default();
        assert!(!crowd.is_near(A, &LIMITS), "nothing is known");
        crowd.hear(A, 5, 74);
        assert!(!crowd.is_near(A, &LIMITS));
        crowd.hear(A, 6, 74);
        assert!(crowd.is_near(A, &LIMITS) && !crowd.is_near(B, &LIMITS), "its own");
        crowd.hear(B, 0, 75);
        assert!(crowd.is_near(B, &LIMITS), "that of all");
        tokio::time::advance(KNOWN_FOR).await;
        assert!(!crowd.is_near(A, &LIMITS) && !crowd.is_near(B, &LIMITS));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_known_of_tenants_is_bounded() {
        let crowd = Crowd::default();
        for tenant in 0..3 * TENANTS {
            crowd.hear(TenantId(i64::try_from(tenant).unwrap()), 8, 8);
            assert!(crowd.lock().tenants.len() <= TENANTS);
        }
        let last = TenantId(i64::try_from(3 * TENANTS - 1).unwrap());
        assert!(crowd.is_near(last, &LIMITS));
        crowd.hear(last, 0, 8);
        assert!(!crowd.is_near(last, &LIMITS));
    }
}
