//! Random histories against the definition of the limits, which is too slow for use and too plain to be wrong: a call passes exactly
//! when in no span of time that ends with it more passes than the limit and what refills in that span, and when a place is free.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use tokio::runtime::Handle;

use super::{Bench, key, limits_of};
use crate::limits::{KeyLimits, Permit};

const HISTORIES: u32 = 48;

#[derive(Debug, Clone)]
enum Act {
    Wait {
        ms: i64,
    },
    Call {
        tokens: u32,
    },
    /// Of those that run, counted round.
    End {
        nth: usize,
    },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => prop_oneof![0i64..50, 0i64..5_000, 0i64..90_000].prop_map(|ms| Act::Wait { ms }),
        6 => (0u32..60).prop_map(|tokens| Act::Call { tokens }),
        2 => (0usize..8).prop_map(|nth| Act::End { nth }),
    ]
}

pub(crate) async fn what_passes_is_what_no_span_of_time_forbids(bench: Bench) {
    let runtime = Handle::current();
    let one_history = |(rpm, tpm, concurrency, acts): (u32, u32, u32, Vec<Act>)| {
        runtime.block_on(follow(&bench, limits_of(rpm, tpm, concurrency), &acts))
    };
    let histories = (0u32..12, 0u32..200, 0u32..4, prop::collection::vec(act(), 1..40));
    tokio::task::block_in_place(|| {
        // No file of failures: what failed is shown, and the seed of a run is fixed by the histories themselves.
        let config = Config { cases: HISTORIES, failure_persistence: None, ..Config::default() };
        TestRunner::new(config).run(&histories, one_history).unwrap();
    });
}

async fn follow(bench: &Bench, limits: KeyLimits, acts: &[Act]) -> Result<(), TestCaseError> {
    let key = key();
    let mut now = 0_i64;
    let mut passed: Vec<(i64, u32)> = Vec::new();
    let mut running: Vec<Permit> = Vec::new();
    for act in acts {
        match *act {
            Act::Wait { ms } => {
                bench.clock.advance(ms);
                now += ms;
            }
            Act::End { nth } => {
                if !running.is_empty() {
                    running.swap_remove(nth % running.len()).release().await;
                }
            }
            Act::Call { tokens } => {
                passed.push((now, tokens));
                let expected = fits(limits.rpm.map(u32::from), passed.iter().map(|(at, _)| (*at, 1)), now)
                    && fits(limits.tpm.map(u32::from), passed.iter().copied(), now)
                    && limits.concurrency.is_none_or(|limit| running.len() < limit.get() as usize);
                let seen = bench.check(key, &limits, tokens.into()).await;
                prop_assert_eq!(seen.is_ok(), expected, "{:?} at {}: {:?} of {:?}", limits, now, seen, passed);
                match seen {
                    Ok(permit) => running.push(permit),
                    Err(_) => drop(passed.pop()),
                }
            }
        }
    }
    for permit in running {
        permit.release().await;
    }
    Ok(())
}

/// Whether every span of time that ends with the newest call holds at most the limit and what refills in it.
fn fits(limit: Option<u32>, calls: impl DoubleEndedIterator<Item = (i64, u32)>, now: i64) -> bool {
    let Some(limit) = limit.map(i64::from) else { return true };
    let mut within_span = 0_i64;
    calls.rev().all(|(at, cost)| {
        within_span += i64::from(cost);
        within_span * 60_000 <= limit * 60_000 + limit * (now - at)
    })
}
