//! What every form of the [`Limits`] must do. A form's tests hold it to all of it with one line:
//! `limits_contract!(async || Bench::new(limits, clock))`, where the limits take their time from that clock.

mod histories;

use std::any::Any;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub(crate) use self::histories::what_passes_is_what_no_span_of_time_forbids;
use super::{Allowance, Exceeded, KeyLimits, LimitError, Limits, Obstacle, Permit, Places};
use crate::clock::Clock;
use crate::id::RequestId;
use crate::refusal::{Reason, Refusal};
use crate::secret_key::KeyId;

/// Generates one test for each property.
macro_rules! limits_contract {
    ($make:expr) => {
        crate::limits::contract::limits_contract! {
            $make;
            a_key_without_limits_is_never_refused,
            a_minute_of_requests_may_be_spent_at_once_and_comes_back_evenly,
            a_call_takes_its_tokens,
            a_call_larger_than_a_minute_is_refused_for_good,
            what_is_refused_takes_nothing,
            of_two_limits_the_longer_wait_is_told,
            a_place_is_free_when_its_call_has_ended,
            a_dropped_permit_frees_its_place,
            keys_do_not_share,
            a_clock_that_is_put_back_neither_gives_nor_takes,
            the_largest_limits_are_exact,
            many_at_once_pass_no_more_than_the_limit,
            many_at_once_never_run_more_than_may,
            what_passes_is_what_no_span_of_time_forbids
        }
    };
    ($make:expr; $($property:ident),+) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $property() {
            let make = $make;
            crate::limits::contract::$property(make().await).await;
        })+
    };
}
pub(crate) use limits_contract;

/// Limits to try, with their clock.
pub(crate) struct Bench {
    pub(crate) limits: Arc<dyn Limits>,
    pub(crate) clock: Clock,
    _kept: Box<dyn Any + Send + Sync>,
}

impl Bench {
    pub(crate) fn new(limits: Arc<dyn Limits>, clock: Clock) -> Self {
        Self::keeping(limits, clock, ())
    }

    /// The same with something that must live as long.
    pub(crate) fn keeping(limits: Arc<dyn Limits>, clock: Clock, kept: impl Any + Send + Sync) -> Self {
        Self { limits, clock, _kept: Box::new(kept) }
    }

    pub(crate) async fn check(&self, key: KeyId, limits: &KeyLimits, tokens: u64) -> Result<Permit, Exceeded> {
        match self.limits.check(key, limits, tokens).await {
            Ok(permit) => Ok(permit),
            Err(LimitError::Exceeded(exceeded)) => Err(exceeded),
            Err(LimitError::Unavailable) => panic!("the limits are there"),
        }
    }
}

/// 0: no limit.
pub(crate) fn limits_of(rpm: u32, tpm: u32, concurrency: u32) -> KeyLimits {
    let [rpm, tpm, concurrency] = [rpm, tpm, concurrency].map(NonZeroU32::new);
    KeyLimits { rpm, tpm, concurrency }
}

/// A key that nobody else uses.
pub(crate) fn key() -> KeyId {
    RequestId::new().simple().to_string()[20..].parse().unwrap()
}

fn number(value: u32) -> NonZeroU32 {
    NonZeroU32::new(value).unwrap()
}

pub(crate) async fn a_key_without_limits_is_never_refused(bench: Bench) {
    let key = key();
    for _ in 0..1000 {
        let permit = bench.check(key, &KeyLimits::default(), u64::MAX).await.unwrap();
        assert!(permit.allowances().is_empty());
    }
}

pub(crate) async fn a_minute_of_requests_may_be_spent_at_once_and_comes_back_evenly(bench: Bench) {
    let (key, limits) = (key(), limits_of(3, 0, 0));
    for (remaining, reset_ms) in [(2, 20_000), (1, 40_000), (0, 60_000)] {
        let allowances = bench.check(key, &limits, 7).await.unwrap().allowances();
        assert_eq!(allowances.requests, Some(Allowance { limit: 3, remaining, reset_ms }));
        assert_eq!((allowances.tokens, allowances.places), (None, None));
    }
    let exceeded = bench.check(key, &limits, 7).await.unwrap_err();
    assert_eq!((exceeded.obstacle, exceeded.wait_ms), (Obstacle::Requests(number(3)), 20_000));
    assert_eq!(exceeded.allowances.requests, Some(Allowance { limit: 3, remaining: 0, reset_ms: 60_000 }));
    bench.clock.advance(19_999);
    let exceeded = bench.check(key, &limits, 7).await.unwrap_err();
    assert_eq!(exceeded.wait_ms, 1);
    assert_eq!(Refusal::from(&exceeded).retry_after_s, Some(1), "rounded up");
    bench.clock.advance(1);
    bench.check(key, &limits, 7).await.unwrap();
    bench.check(key, &limits, 7).await.unwrap_err();
    bench.clock.advance(600_000);
    for _ in 0..3 {
        bench.check(key, &limits, 7).await.unwrap();
    }
    bench.check(key, &limits, 7).await.unwrap_err();
}

pub(crate) async fn a_call_takes_its_tokens(bench: Bench) {
    let (key, limits) = (key(), limits_of(0, 1000, 0));
    let allowances = bench.check(key, &limits, 700).await.unwrap().allowances();
    assert_eq!(allowances.tokens, Some(Allowance { limit: 1000, remaining: 300, reset_ms: 42_000 }));
    let exceeded = bench.check(key, &limits, 301).await.unwrap_err();
    assert_eq!((exceeded.obstacle, exceeded.wait_ms), (Obstacle::Tokens(number(1000)), 60));
    bench.check(key, &limits, 300).await.unwrap();
    bench.check(key, &limits, 0).await.unwrap();
    bench.check(key, &limits, 1).await.unwrap_err();
    bench.clock.advance(60_000);
    bench.check(key, &limits, 1000).await.unwrap();
}

pub(crate) async fn a_call_larger_than_a_minute_is_refused_for_good(bench: Bench) {
    let (key, limits) = (key(), limits_of(5, 1000, 5));
    for tokens in [1001, u64::from(u32::MAX) + 1, u64::MAX] {
        let exceeded = bench.check(key, &limits, tokens).await.unwrap_err();
        assert_eq!(exceeded.obstacle, Obstacle::CallTooLarge { tokens, limit: number(1000) });
        assert!(!exceeded.passes_later());
        assert_eq!(exceeded.allowances.tokens, Some(Allowance { limit: 1000, remaining: 1000, reset_ms: 0 }));
        let refusal = Refusal::from(&exceeded);
        assert_eq!(refusal.reason, Reason::RateLimitExceeded);
        assert!(refusal.message.contains("can never pass") && refusal.message.contains("1000"), "{refusal}");
    }
    let allowances = bench.check(key, &limits, 1000).await.unwrap().allowances();
    assert_eq!(allowances.requests.map(|requests| requests.remaining), Some(4), "the refused ones took nothing");
}

pub(crate) async fn what_is_refused_takes_nothing(bench: Bench) {
    let (key, limits) = (key(), limits_of(10, 100, 2));
    let first = bench.check(key, &limits, 60).await.unwrap();
    // Refused by the tokens: no request, no place.
    for _ in 0..50 {
        bench.check(key, &limits, 60).await.unwrap_err();
    }
    let second = bench.check(key, &limits, 40).await.unwrap();
    let allowances = second.allowances();
    assert_eq!(allowances.requests.map(|requests| requests.remaining), Some(8));
    assert_eq!(allowances.places, Some(Places { limit: 2, remaining: 0 }));
    // Refused by the places: neither a request nor tokens.
    bench.clock.advance(60_000);
    for _ in 0..50 {
        let exceeded = bench.check(key, &limits, 1).await.unwrap_err();
        assert_eq!((exceeded.obstacle, exceeded.wait_ms), (Obstacle::Places(number(2)), 1000));
        assert_eq!(exceeded.allowances.requests.map(|requests| requests.remaining), Some(10));
        assert_eq!(exceeded.allowances.tokens.map(|tokens| tokens.remaining), Some(100));
    }
    first.release().await;
    second.release().await;
    let allowances = bench.check(key, &limits, 100).await.unwrap().allowances();
    assert_eq!(allowances.requests.map(|requests| requests.remaining), Some(9));
}

pub(crate) async fn of_two_limits_the_longer_wait_is_told(bench: Bench) {
    // 30 s until the next request.
    let limits = limits_of(2, 60, 0);
    let (requests, tokens) = (key(), key());
    for key in [requests, tokens] {
        for _ in 0..2 {
            bench.check(key, &limits, 30).await.unwrap();
        }
    }
    let exceeded = bench.check(requests, &limits, 10).await.unwrap_err();
    assert_eq!((exceeded.obstacle, exceeded.wait_ms), (Obstacle::Requests(number(2)), 30_000));
    let exceeded = bench.check(tokens, &limits, 40).await.unwrap_err();
    assert_eq!((exceeded.obstacle, exceeded.wait_ms), (Obstacle::Tokens(number(60)), 40_000));
    bench.clock.advance(39_999);
    bench.check(tokens, &limits, 40).await.unwrap_err();
    bench.clock.advance(1);
    bench.check(tokens, &limits, 40).await.unwrap();
}

pub(crate) async fn a_place_is_free_when_its_call_has_ended(bench: Bench) {
    let (key, limits) = (key(), limits_of(0, 0, 1));
    for _ in 0..200 {
        let permit = bench.check(key, &limits, 1).await.unwrap();
        let exceeded = bench.check(key, &limits, 1).await.unwrap_err();
        assert_eq!(exceeded.allowances.places, Some(Places { limit: 1, remaining: 0 }));
        permit.release().await;
    }
}

pub(crate) async fn a_dropped_permit_frees_its_place(bench: Bench) {
    let (key, limits) = (key(), limits_of(0, 0, 2));
    let kept = bench.check(key, &limits, 1).await.unwrap();
    for _ in 0..20 {
        drop(passed_soon(&bench, key, &limits).await);
    }
    drop(kept);
    let both = [passed_soon(&bench, key, &limits).await, passed_soon(&bench, key, &limits).await];
    bench.check(key, &limits, 1).await.unwrap_err();
    drop(both);
}

/// A permit as soon as a place is free. Over a network that takes a moment.
pub(crate) async fn passed_soon(bench: &Bench, key: KeyId, limits: &KeyLimits) -> Permit {
    let started = Instant::now();
    loop {
        match bench.check(key, limits, 1).await {
            Ok(permit) => return permit,
            Err(exceeded) => assert!(started.elapsed() < Duration::from_secs(20), "no place became free: {exceeded}"),
        }
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn keys_do_not_share(bench: Bench) {
    let limits = limits_of(1, 10, 1);
    let (one, other) = (key(), key());
    let _running = bench.check(one, &limits, 10).await.unwrap();
    bench.check(one, &limits, 0).await.unwrap_err();
    bench.check(other, &limits, 10).await.unwrap();
}

pub(crate) async fn a_clock_that_is_put_back_neither_gives_nor_takes(bench: Bench) {
    let (key, limits) = (key(), limits_of(2, 0, 0));
    bench.check(key, &limits, 0).await.unwrap();
    bench.check(key, &limits, 0).await.unwrap();
    bench.clock.advance(-3_600_000);
    assert_eq!(bench.check(key, &limits, 0).await.unwrap_err().wait_ms, 30_000);
    // It refills from where the clock is, not from where it was.
    bench.clock.advance(30_000);
    bench.check(key, &limits, 0).await.unwrap();
    bench.check(key, &limits, 0).await.unwrap_err();
}

pub(crate) async fn the_largest_limits_are_exact(bench: Bench) {
    let (key, limits) = (key(), limits_of(u32::MAX, u32::MAX, u32::MAX));
    let allowances = bench.check(key, &limits, u64::from(u32::MAX) - 1).await.unwrap().allowances();
    assert_eq!(allowances.requests.map(|requests| requests.remaining), Some(u32::MAX - 1));
    assert_eq!(allowances.tokens, Some(Allowance { limit: u32::MAX, remaining: 1, reset_ms: 60_000 }));
    let exceeded = bench.check(key, &limits, 2).await.unwrap_err();
    assert_eq!((exceeded.obstacle, exceeded.wait_ms), (Obstacle::Tokens(number(u32::MAX)), 1));
    let tokens = u64::from(u32::MAX) + 1;
    let exceeded = bench.check(key, &limits, tokens).await.unwrap_err();
    assert_eq!(exceeded.obstacle, Obstacle::CallTooLarge { tokens, limit: number(u32::MAX) });
    bench.check(key, &limits, 1).await.unwrap();
}

pub(crate) async fn many_at_once_pass_no_more_than_the_limit(bench: Bench) {
    let (key, limits) = (key(), limits_of(50, 300, 0));
    let bench = Arc::new(bench);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let bench = Arc::clone(&bench);
            tokio::spawn(async move {
                let mut passed = 0;
                for _ in 0..20 {
                    passed += u32::from(bench.check(key, &limits, 10).await.is_ok());
                }
                passed
            })
        })
        .collect();
    let mut passed = 0;
    for task in tasks {
        passed += task.await.unwrap();
    }
    assert_eq!(passed, 30, "300 tokens are 30 calls of 10");
}

pub(crate) async fn many_at_once_never_run_more_than_may(bench: Bench) {
    let (key, limits) = (key(), limits_of(0, 0, 3));
    let (bench, running, most) = (Arc::new(bench), Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (bench, running, most) = (Arc::clone(&bench), Arc::clone(&running), Arc::clone(&most));
            tokio::spawn(async move {
                for _ in 0..10 {
                    let permit = passed_soon(&bench, key, &limits).await;
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    running.fetch_sub(1, Ordering::SeqCst);
                    permit.release().await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert!((1..=3).contains(&most.load(Ordering::SeqCst)), "{most:?}");
    bench.check(key, &limits, 1).await.unwrap();
}
