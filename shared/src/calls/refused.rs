//! Calls that were refused before they got a hold: only counted, so that a flood of them writes a few rows.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::SLOT_MS;
use crate::clock::Timestamp;
use crate::id::TenantId;
use crate::secret_key::KeyId;

/// The most counts that wait to be written; what comes on top is counted only as lost.
const MOST: usize = 4_096;

/// What is counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Refused {
    /// The beginning of the quarter of an hour.
    pub(super) slot_start: i64,
    pub(super) tenant: TenantId,
    pub(super) key: KeyId,
    /// Empty where no model was named, or one that does not exist.
    pub(super) model: String,
    pub(super) code: u32,
}

/// The counts since they were last taken.
#[derive(Debug, Default)]
pub(super) struct RefusedCounts(Mutex<HashMap<Refused, i64>>);

impl RefusedCounts {
    /// Counts one, and gives whether it is the first since they were taken.
    pub(super) fn add(&self, tenant: TenantId, key: KeyId, model: &str, code: u32, now: Timestamp) -> bool {
        let slot_start = now.0 - now.0.rem_euclid(SLOT_MS);
        let refused = Refused { slot_start, tenant, key, model: model.to_owned(), code };
        let mut counts = self.lock();
        let is_first = counts.is_empty();
        if counts.len() >= MOST && !counts.contains_key(&refused) {
            metrics::counter!("xiaoyi_call_log_dropped_total", "what" => "refusal").increment(1);
            return false;
        }
        *counts.entry(refused).or_insert(0) += 1;
        is_first
    }

    /// Takes all of them.
    pub(super) fn take(&self) -> HashMap<Refused, i64> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Refused, i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_ones_are_one_count_and_their_number_is_bounded() {
        let counts = RefusedCounts::default();
        let key: KeyId = "0123456789AB".parse().unwrap();
        let add = |tenant: i64, at: i64| counts.add(TenantId(tenant), key, "m", 42_900, Timestamp(at));
        assert!(add(1, SLOT_MS));
        assert!(!add(1, 2 * SLOT_MS - 1));
        assert!(!add(1, 2 * SLOT_MS));
        for tenant in 0..2 * 4_096 {
            add(tenant, SLOT_MS);
        }
        let taken = counts.take();
        assert_eq!(taken.len(), MOST);
        let first = Refused { slot_start: SLOT_MS, tenant: TenantId(1), key, model: "m".to_owned(), code: 42_900 };
        assert_eq!(taken[&first], 3);
        assert!(add(1, SLOT_MS), "taken, so the next one is the first again");
    }
}
