//! A token bucket in whole numbers, which every form of the limits reckons with.
//!
//! What was spent is kept, in parts of 1/60000 of a request or token: a limit of `N` a minute then refills exactly `N` parts a
//! millisecond. An empty record is a full bucket, so a key that is left alone can be forgotten. The largest number is
//! 60000 * 2^32 < 2^53, which Redis (Lua reckons in doubles) still holds exactly.

use std::num::NonZeroU32;

/// Parts of one request or token; also the milliseconds of a minute.
pub(super) const PARTS: u64 = 60_000;

/// A bucket as it is at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// What it holds when it is full, and gets back in a minute.
    pub(crate) limit: NonZeroU32,
    /// What is missing, in parts.
    pub(crate) spent: u64,
}

impl Bucket {
    /// The same bucket `elapsed_ms` later.
    pub(crate) fn after(self, elapsed_ms: u64) -> Self {
        Self { spent: self.spent.saturating_sub(elapsed_ms.saturating_mul(self.rate())), ..self }
    }

    /// The bucket after `cost` was taken out of it; `None` when it does not hold so much.
    pub(crate) fn take(self, cost: u64) -> Option<Self> {
        let spent = self.spent.saturating_add(cost.saturating_mul(PARTS));
        (spent <= self.capacity()).then_some(Self { spent, ..self })
    }

    /// How many whole requests or tokens it holds.
    pub(super) fn remaining(self) -> u32 {
        let parts = self.capacity().saturating_sub(self.spent);
        u32::try_from(parts / PARTS).unwrap_or(u32::MAX)
    }

    /// Milliseconds until it is full.
    pub(super) fn full_in_ms(self) -> u64 {
        self.spent.div_ceil(self.rate())
    }

    /// Milliseconds until it holds `cost`; 0 when it does already. A cost above the limit counts as the limit.
    pub(crate) fn holds_in_ms(self, cost: u64) -> u64 {
        let parts = cost.saturating_mul(PARTS).min(self.capacity());
        self.spent.saturating_add(parts).saturating_sub(self.capacity()).div_ceil(self.rate())
    }

    fn rate(self) -> u64 {
        u64::from(self.limit.get())
    }

    fn capacity(self) -> u64 {
        self.rate().saturating_mul(PARTS)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn full(limit: u32) -> Bucket {
        Bucket { limit: NonZeroU32::new(limit).unwrap(), spent: 0 }
    }

    #[test]
    fn a_minute_is_spent_at_once_and_comes_back_evenly() {
        let bucket = full(7).take(7).unwrap();
        assert_eq!((bucket.remaining(), bucket.full_in_ms(), bucket.holds_in_ms(1)), (0, 60_000, 8572));
        assert_eq!(bucket.after(8571).take(1), None);
        assert_eq!(bucket.after(8572).take(1).map(Bucket::remaining), Some(0));
        assert_eq!(bucket.after(60_000), full(7));
    }

    #[test]
    fn the_largest_limit_does_not_overflow() {
        let bucket = full(u32::MAX).take(u32::MAX.into()).unwrap();
        assert_eq!((bucket.remaining(), bucket.full_in_ms(), bucket.take(1)), (0, 60_000, None));
        assert_eq!(bucket.after(u64::MAX), full(u32::MAX));
        assert_eq!(full(u32::MAX).take(u64::MAX), None);
    }

    proptest! {
        #[test]
        fn the_wait_that_is_told_is_exact(limit in 1u32.., first: u32, second: u32, pause in 0u64..60_000) {
            let (first, second) = (u64::from(first % limit) + 1, u64::from(second % limit) + 1);
            let bucket = full(limit).take(first).unwrap().after(pause);
            let wait = bucket.holds_in_ms(second);
            prop_assert_eq!(bucket.take(second).is_some(), wait == 0);
            prop_assert!(bucket.after(wait).take(second).is_some());
            prop_assert!(wait == 0 || bucket.after(wait - 1).take(second).is_none());
        }

        #[test]
        fn time_in_pieces_is_time_in_one(limit in 1u32.., cost: u32, pieces in prop::collection::vec(0u64..20_000, 0..8)) {
            let bucket = full(limit).take(u64::from(cost % limit) + 1).unwrap();
            let whole = bucket.after(pieces.iter().sum());
            prop_assert_eq!(pieces.into_iter().fold(bucket, Bucket::after), whole);
        }
    }
}
