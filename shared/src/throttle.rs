//! A bound on attempts: so many in a time for each subject (an account, an address, a key), kept in this process.
//!
//! Each subject has a bucket that refills evenly. Only so many subjects are remembered; the one that has been quiet for longest is
//! forgotten first, which gives it all its attempts back.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};

use crate::clock::{Clock, Timestamp};
use crate::limits::Bucket;

/// How much is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// So many attempts at once, and as many again in the time below.
    pub attempts: NonZeroU32,
    /// In so many minutes.
    pub minutes: NonZeroU32,
    /// So many subjects are remembered.
    pub subjects: usize,
}

/// Counts attempts by subject.
#[derive(Debug)]
pub struct Throttle<S> {
    clock: Clock,
    allowed: Allowed,
    known: Mutex<Known<S>>,
}

/// The subject has used its attempts up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts; try again in {retry_after_s} s")]
pub struct TooMany {
    /// In so many seconds there is one again, at least 1.
    pub retry_after_s: u64,
}

impl<S: Clone + Eq + Hash> Throttle<S> {
    /// Nothing was tried yet.
    pub fn new(clock: Clock, allowed: Allowed) -> Self {
        let known = Known { subjects: HashMap::new(), by_age: BTreeMap::new(), next_turn: 0 };
        Self { clock, allowed, known: Mutex::new(known) }
    }

    /// Counts an attempt. One that is refused costs nothing.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn attempt(&self, subject: &S) -> Result<(), TooMany> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let minutes = self.allowed.minutes;
        let tried = known
            .take(subject)
            .map_or_else(|| Tried::nothing(self.allowed.attempts, now), |tried| tried.at(now, minutes));
        let (tried, outcome) = match tried.bucket.take(1) {
            Some(bucket) => (Tried { bucket, ..tried }, Ok(())),
            None => (tried, Err(TooMany { retry_after_s: tried.wait_s(now, minutes) })),
        };
        known.put(subject.clone(), tried);
        known.forget_down_to(self.allowed.subjects, now, minutes);
        outcome
    }

    /// Gives a subject all its attempts back: it has shown who it is.
    pub fn forget(&self, subject: &S) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).take(subject);
    }
}

/// The subject that a client's address counts as. Whoever has an IPv6 address has 2^64 of them.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

#[derive(Debug)]
struct Known<S> {
    subjects: HashMap<S, (u64, Tried)>,
    /// The subjects by the turn of their last attempt.
    by_age: BTreeMap<u64, S>,
    next_turn: u64,
}

impl<S: Clone + Eq + Hash> Known<S> {
    fn take(&mut self, subject: &S) -> Option<Tried> {
        let (turn, tried) = self.subjects.remove(subject)?;
        self.by_age.remove(&turn);
        Some(tried)
    }

    fn put(&mut self, subject: S, tried: Tried) {
        self.by_age.insert(self.next_turn, subject.clone());
        self.subjects.insert(subject, (self.next_turn, tried));
        self.next_turn += 1;
    }

    /// Forgets the oldest while there are too many, or while they have all their attempts anyway.
    fn forget_down_to(&mut self, most: usize, now: Timestamp, minutes: NonZeroU32) {
        while let Some(oldest) = self.by_age.first_entry() {
            let is_full = |(_, tried): &(u64, Tried)| tried.at(now, minutes).bucket.spent == 0;
            if self.subjects.len() <= most && !self.subjects.get(oldest.get()).is_some_and(is_full) {
                return;
            }
            self.subjects.remove(&oldest.remove());
        }
    }
}

/// What one subject has tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tried {
    bucket: Bucket,
    /// The moment of the bucket.
    at: Timestamp,
}

impl Tried {
    fn nothing(attempts: NonZeroU32, at: Timestamp) -> Self {
        Self { bucket: Bucket { limit: attempts, spent: 0 }, at }
    }

    /// The same at another moment. A bucket reckons by the minute, so of `minutes` only the whole parts of a minute pass; what is left
    /// passes later. A clock that was put back refills nothing, and refilling goes on from where the clock is.
    fn at(self, now: Timestamp, minutes: NonZeroU32) -> Self {
        let minutes = i64::from(minutes.get());
        let Ok(parts) = u64::try_from(now.since(self.at) / minutes) else { return Self { at: now, ..self } };
        let passed = i64::try_from(parts).unwrap_or(i64::MAX).saturating_mul(minutes);
        Self { bucket: self.bucket.after(parts), at: self.at.plus_ms(passed) }
    }

    /// Seconds until there is an attempt again.
    fn wait_s(self, now: Timestamp, minutes: NonZeroU32) -> u64 {
        let whole = self.bucket.holds_in_ms(1).saturating_mul(minutes.get().into());
        let passed = u64::try_from(now.since(self.at)).unwrap_or(0);
        whole.saturating_sub(passed).div_ceil(1000).max(1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn throttle(attempts: u32, minutes: u32, subjects: usize) -> (Clock, Throttle<&'static str>) {
        let clock = Clock::manual(Timestamp(1_700_000_000_000));
        let number = |number| NonZeroU32::new(number).unwrap();
        let allowed = Allowed { attempts: number(attempts), minutes: number(minutes), subjects };
        (clock.clone(), Throttle::new(clock, allowed))
    }

    const fn too_many(retry_after_s: u64) -> Result<(), TooMany> {
        Err(TooMany { retry_after_s })
    }

    #[test]
    fn attempts_are_used_up_and_come_back_evenly() {
        let (clock, throttle) = throttle(3, 10, 100);
        for _ in 0..3 {
            assert_eq!(throttle.attempt(&"ann"), Ok(()));
        }
        assert_eq!(throttle.attempt(&"ann"), too_many(200));
        assert_eq!(throttle.attempt(&"bob"), Ok(()), "each for itself");
        clock.advance(50_500);
        assert_eq!(throttle.attempt(&"ann"), too_many(150), "a refused attempt costs nothing");
        clock.advance(149_499);
        assert_eq!(throttle.attempt(&"ann"), too_many(1));
        clock.advance(1);
        assert_eq!(throttle.attempt(&"ann"), Ok(()));
        assert_eq!(throttle.attempt(&"ann"), too_many(200));
        clock.advance(600_000);
        for _ in 0..3 {
            assert_eq!(throttle.attempt(&"ann"), Ok(()));
        }
        assert_eq!(throttle.attempt(&"ann"), too_many(200));
    }

    #[test]
    fn who_is_forgotten_has_all_attempts_again() {
        let (_, throttle) = throttle(1, 1, 100);
        assert_eq!(throttle.attempt(&"ann"), Ok(()));
        assert_eq!(throttle.attempt(&"ann"), too_many(60));
        throttle.forget(&"ann");
        assert_eq!(throttle.attempt(&"ann"), Ok(()));
        throttle.forget(&"nobody");
    }

    #[test]
    fn the_quietest_is_forgotten_when_there_are_too_many() {
        let (clock, throttle) = throttle(1, 60, 3);
        for subject in ["ann", "bob", "eve"] {
            assert_eq!(throttle.attempt(&subject), Ok(()));
            clock.advance(1);
        }
        // Trying keeps one remembered.
        throttle.attempt(&"ann").unwrap_err();
        assert_eq!(throttle.attempt(&"dan"), Ok(()));
        throttle.attempt(&"ann").unwrap_err();
        throttle.attempt(&"eve").unwrap_err();
        assert_eq!(throttle.attempt(&"bob"), Ok(()));
        assert_eq!(throttle.known.lock().unwrap().subjects.len(), 3);
    }

    #[test]
    fn who_has_all_attempts_again_is_not_kept() {
        let (clock, throttle) = throttle(1, 1, 1_000);
        for subject in ["ann", "bob", "eve"] {
            throttle.attempt(&subject).unwrap();
        }
        clock.advance(60_000);
        throttle.attempt(&"dan").unwrap();
        let known = throttle.known.lock().unwrap();
        assert_eq!((known.subjects.len(), known.by_age.len()), (1, 1));
    }

    #[test]
    fn a_clock_that_is_put_back_gives_nothing() {
        let (clock, throttle) = throttle(1, 1, 10);
        throttle.attempt(&"ann").unwrap();
        clock.advance(-3_600_000);
        assert_eq!(throttle.attempt(&"ann"), too_many(60));
        clock.advance(60_000);
        assert_eq!(throttle.attempt(&"ann"), Ok(()));
    }

    #[rstest]
    #[case("192.0.2.7", "192.0.2.7")]
    #[case("::ffff:192.0.2.7", "192.0.2.7")]
    #[case("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::")]
    #[case("::1", "::")]
    fn an_address_counts_as_its_network(#[case] address: &str, #[case] network: &str) {
        assert_eq!(network_of(address.parse().unwrap()), network.parse::<IpAddr>().unwrap());
    }

    proptest! {
        /// Whatever the pauses, no more than the burst and what came back are let through, and who waits as told is.
        #[test]
        fn no_more_than_allowed_and_the_wait_is_enough(
            attempts in 1u32..20, minutes in 1u32..100, pauses in prop::collection::vec(0i64..400_000, 1..60),
        ) {
            let (clock, throttle) = throttle(attempts, minutes, 10);
            let start = clock.now();
            let mut passed = 0u64;
            for pause in pauses {
                clock.advance(pause);
                match throttle.attempt(&"ann") {
                    Ok(()) => passed += 1,
                    Err(TooMany { retry_after_s }) => {
                        clock.advance(i64::try_from(retry_after_s).unwrap() * 1000);
                        prop_assert_eq!(throttle.attempt(&"ann"), Ok(()));
                        passed += 1;
                    }
                }
                let elapsed_ms = u64::try_from(clock.now().since(start)).unwrap();
                let back = elapsed_ms * u64::from(attempts) / (u64::from(minutes) * 60_000);
                prop_assert!(passed <= u64::from(attempts) + back, "{} of {} in {} ms", passed, attempts, elapsed_ms);
            }
        }
    }
}
