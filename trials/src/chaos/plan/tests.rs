//! Whatever the seed, the schedule is a good one.

use std::collections::HashSet;
use std::sync::Arc;

use super::*;

fn settings(form: Form, seconds: u64, seed: u64) -> Settings {
    let progress: super::super::Progress = Arc::new(|_| {});
    Settings { program: "x".into(), form, seconds, faults_every: (2, 10), seed, clients: 1, logs: None, progress }
}

#[test]
fn the_same_seed_gives_the_same_schedule() {
    let plans: Vec<_> = [1, 1, 2].map(|seed| plan(&settings(Form::Distributed, 600, seed))).into();
    assert_eq!(plans[0], plans[1]);
    assert_ne!(plans[0], plans[2]);
}

#[test]
fn ten_minutes_have_sixty_faults_of_every_kind_two_to_ten_seconds_apart() {
    for seed in 0..200 {
        let plan = plan(&settings(Form::Distributed, 600, seed));
        assert!(plan.len() >= 60, "seed {seed}: {}", plan.len());
        for pair in plan.windows(2) {
            assert!((2_000..=10_000).contains(&(pair[1].at_ms - pair[0].at_ms)), "seed {seed}: {pair:?}");
        }
        assert!(plan.last().unwrap().at_ms + RESERVE_MS <= 600_000);
        let kinds: HashSet<_> = plan.iter().map(|planned| std::mem::discriminant(&planned.fault)).collect();
        assert_eq!(kinds.len(), 9, "seed {seed}");
    }
}

#[test]
fn two_minutes_have_most_kinds_also() {
    for seed in 0..200 {
        let plan = plan(&settings(Form::Distributed, 120, seed));
        assert!(plan.len() >= 10, "seed {seed}: {}", plan.len());
        let kinds: HashSet<_> = plan.iter().map(|planned| std::mem::discriminant(&planned.fault)).collect();
        assert!(kinds.len() >= 5, "seed {seed}: {kinds:?}");
    }
}

#[test]
fn a_stopped_worker_is_left_alone_and_goes_on_before_the_end() {
    for seed in 0..500 {
        let plan = plan(&settings(Form::Distributed, 300, seed));
        let stops = plan.iter().filter_map(|planned| match planned.fault {
            Fault::StopWorker { number } => Some((number, planned.at_ms)),
            _ => None,
        });
        for (stopped, from_ms) in stops {
            assert!(from_ms + STOP_MS + RESERVE_MS <= 300_000, "seed {seed}");
            let meanwhile = plan.iter().filter(|planned| (from_ms + 1..from_ms + STOP_MS).contains(&planned.at_ms));
            for planned in meanwhile {
                let hit = match planned.fault {
                    Fault::KillWorker { number } => number == stopped,
                    Fault::StopWorker { .. } => true,
                    _ => false,
                };
                assert!(!hit, "seed {seed}: {planned}");
            }
        }
    }
}

#[test]
fn the_embedded_form_knows_only_kills_and_cuts_of_the_provider() {
    let plan = plan(&settings(Form::Embedded, 60, 3));
    assert!(plan.len() >= 5);
    for Planned { fault, .. } in plan {
        assert!(matches!(fault, Fault::KillApi { number: 0 } | Fault::Cut { link: Link::Provider }), "{fault}");
    }
}
