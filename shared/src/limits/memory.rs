//! The limits inside one process. A key is remembered while something of its limits is used, and forgotten after that.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;

use super::allowance::Usage;
use super::bucket::Bucket;
use super::{Exceeded, KeyLimits, Lease, LimitError, Limits, Permit};
use crate::clock::{Clock, Timestamp};
use crate::secret_key::KeyId;

/// Below this many keys nothing is swept out.
const FEW_KEYS: usize = 1024;

/// The [`Limits`] of a single process.
pub struct MemoryLimits {
    clock: Clock,
    known: Mutex<Known>,
}

impl std::fmt::Debug for MemoryLimits {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("MemoryLimits").finish_non_exhaustive()
    }
}

impl MemoryLimits {
    /// Nothing is used yet.
    pub fn new(clock: Clock) -> Self {
        Self { clock, known: Mutex::new(Known { keys: HashMap::new(), sweep_at: FEW_KEYS }) }
    }
}

#[async_trait]
impl Limits for MemoryLimits {
    async fn take(&self, key: KeyId, limits: &KeyLimits, tokens: u64) -> Result<Permit, LimitError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that the time of one check is not before that of the check before.
        let now = self.clock.now();
        let used = known.used(key, limits, now);
        used.pass_time(now);
        let usage = used.usage();
        if let Some(exceeded) = Exceeded::by(limits, &usage, tokens) {
            return Err(exceeded.into());
        }
        used.requests = used.requests.map(|bucket| bucket.take(1).unwrap_or(bucket));
        used.tokens = used.tokens.map(|bucket| bucket.take(tokens).unwrap_or(bucket));
        let lease = limits.concurrency.map(|_| used.place());
        Ok(Permit { allowances: used.usage().allowances(limits), lease })
    }
}

struct Known {
    keys: HashMap<KeyId, Used>,
    /// With so many keys, those that use nothing are forgotten before one more is remembered.
    sweep_at: usize,
}

impl Known {
    fn used(&mut self, key: KeyId, limits: &KeyLimits, now: Timestamp) -> &mut Used {
        if self.keys.len() >= self.sweep_at && !self.keys.contains_key(&key) {
            self.keys.retain(|_, used| {
                used.pass_time(now);
                used.is_any()
            });
            // Twice what is left, so that the sweeps cost each check little.
            self.sweep_at = self.keys.len().saturating_mul(2).max(FEW_KEYS);
        }
        self.keys.entry(key).or_insert_with(|| Used::nothing(limits, now))
    }
}

/// What one key has used.
struct Used {
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    /// The moment of both.
    at: Timestamp,
    /// One for each call that runs; a call that has ended leaves one that leads nowhere.
    running: Vec<Weak<()>>,
}

impl Used {
    fn nothing(limits: &KeyLimits, at: Timestamp) -> Self {
        let full = |limit| Bucket { limit, spent: 0 };
        Self { requests: limits.rpm.map(full), tokens: limits.tpm.map(full), at, running: Vec::new() }
    }

    /// A clock that was put back refills nothing, and refilling goes on from where the clock is.
    fn pass_time(&mut self, now: Timestamp) {
        let elapsed_ms = u64::try_from(now.since(self.at)).unwrap_or(0);
        self.requests = self.requests.map(|bucket| bucket.after(elapsed_ms));
        self.tokens = self.tokens.map(|bucket| bucket.after(elapsed_ms));
        self.at = now;
        self.running.retain(|place| place.strong_count() > 0);
    }

    fn is_any(&self) -> bool {
        let is_spent = |bucket: Bucket| bucket.spent > 0;
        self.requests.is_some_and(is_spent) || self.tokens.is_some_and(is_spent) || !self.running.is_empty()
    }

    fn usage(&self) -> Usage {
        let running = u32::try_from(self.running.len()).unwrap_or(u32::MAX);
        Usage { requests: self.requests, tokens: self.tokens, running }
    }

    fn place(&mut self) -> Box<dyn Lease> {
        let place = Arc::new(());
        self.running.push(Arc::downgrade(&place));
        Box::new(Place(place))
    }
}

/// The place is taken as long as this lives.
#[derive(Debug)]
struct Place(#[expect(dead_code, reason = "it is there to be dropped")] Arc<()>);

#[async_trait]
impl Lease for Place {
    async fn release(self: Box<Self>) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::contract::{Bench, key, limits_contract, limits_of};

    limits_contract!(async || {
        let clock = Clock::manual(Timestamp(1_700_000_000_000));
        Bench::new(Arc::new(MemoryLimits::new(clock.clone())), clock)
    });

    #[tokio::test]
    async fn keys_that_use_nothing_are_forgotten() {
        let clock = Clock::manual(Timestamp(0));
        let memory = MemoryLimits::new(clock.clone());
        let limits = limits_of(1, 0, 1);
        let kept = key();
        let place = memory.check(kept, &limits, 0).await.unwrap();
        for _ in 0..10 {
            for _ in 0..FEW_KEYS {
                drop(memory.check(key(), &limits, 0).await.unwrap());
            }
            clock.advance(60_000);
        }
        let known = memory.known.lock().unwrap();
        assert!(known.keys.len() <= 2 * FEW_KEYS, "{}", known.keys.len());
        assert!(known.keys.contains_key(&kept), "its call still runs");
        drop(place);
    }
}
