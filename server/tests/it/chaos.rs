//! Two minutes of the chaos trial; `scripts/chaos.sh` runs it for as long as one likes.

use std::sync::Arc;

use trials::chaos::{Form, Settings, run};

/// Its plan has faults of every kind, a worker that is stopped for 40 s among them.
const SEED: u64 = 4;

#[test]
#[expect(clippy::print_stderr, reason = "what is seen of a trial while it runs, and the seed that repeats it")]
fn two_minutes_of_faults_lose_nothing_and_charge_nothing_twice() {
    let report = run(&Settings {
        program: env!("CARGO_BIN_EXE_xiaoyi").into(),
        form: Form::Distributed,
        seconds: 120,
        faults_every: (2, 10),
        seed: SEED,
        clients: 16,
        logs: None,
        progress: Arc::new(|line| eprintln!("{line}")),
    })
    .unwrap();
    assert!(report.is_passed(), "{}", report.markdown());
}
