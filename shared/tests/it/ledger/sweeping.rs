//! Holds that nobody else ends: of dead processes and past their time, and none that another still answers for.

use std::time::Duration;

use rstest::rstest;
use shared::clock::{Clock, Timestamp};
use shared::id::{ProcessId, RequestId, TenantId};
use shared::ledger::{self, Ended, Hold, HoldDecision, Operation, Sweeper, WriterSettings};

use super::books::{Books, capture, request_at};

/// 2026-01-01T00:00:00Z.
const START: Timestamp = Timestamp(1_767_225_600_000);
const SILENCE_MS: i64 = 30_000;
/// A hold is committed at most this long after its id was made.
const LATE_MS: i64 = 60_000;

/// Books at a standing clock, a tenant with 1,000,000 nanos, and a sweeper.
struct Sweep {
    books: Books,
    tenant: TenantId,
    sweeper: Sweeper,
}

impl Sweep {
    async fn new() -> Self {
        let books = Books::at(START).await;
        let tenant = books.tenant("t", 1_000_000).await;
        let sweeper = Sweeper::load(&books.database, books.owner, books.clock.now()).await.unwrap();
        Self { books, tenant, sweeper }
    }

    async fn expire(&mut self) -> usize {
        let now = self.books.clock.now();
        self.sweeper.expire(&self.books.database, &self.books.ledger, now, SILENCE_MS).await.unwrap()
    }

    async fn void_dead_owners(&mut self) -> usize {
        let now = self.books.clock.now();
        self.sweeper.void_dead_owners(&self.books.database, &self.books.ledger, now).await.unwrap()
    }

    /// As at the next start of the program.
    async fn save_and_load(&mut self) {
        self.sweeper.save(&self.books.database).await.unwrap();
        self.sweeper = Sweeper::load(&self.books.database, self.books.owner, self.books.clock.now()).await.unwrap();
    }

    async fn register(&self, process: ProcessId) {
        ledger::register_process(&self.books.database, process, "all", self.books.clock.now()).await.unwrap();
    }

    async fn heartbeat(&self, process: ProcessId) {
        ledger::heartbeat(&self.books.database, process, self.books.clock.now()).await.unwrap();
    }

    async fn hold(&self, request_id: RequestId, owner: ProcessId, open_ms: i64) {
        let expires_at = self.books.clock.now().plus_ms(open_ms);
        let hold = Hold { request_id, owner, expires_at, ..self.books.hold(self.tenant, 1) };
        assert_eq!(self.books.ledger.hold(hold).await.unwrap(), HoldDecision::Held);
    }

    fn outcomes(&self) -> Vec<String> {
        self.books.words("SELECT outcome AS word FROM settlements ORDER BY request_id")
    }
}

#[tokio::test]
async fn a_start_voids_the_holds_of_others_only() {
    let mut sweep = Sweep::new().await;
    let (own, dead, alive) = (sweep.books.owner, ProcessId::new(), ProcessId::new());
    sweep.register(alive).await;
    for (number, owner) in [own, dead, own, alive, dead].into_iter().enumerate() {
        sweep.hold(request_at(START, number as u64), owner, 1_000).await;
    }
    let settled = request_at(START, 4);
    sweep.books.ledger.capture(capture(settled, sweep.tenant, 1)).await.unwrap().unwrap();
    // Under the exclusive lock of a start nobody else lives, whatever the heartbeats say.
    assert_eq!(sweep.void_dead_owners().await, 2);
    assert_eq!(sweep.outcomes(), ["voided", "voided", "captured"]);
    assert_eq!(sweep.books.balance(sweep.tenant).await, (999_999, 2));
    assert_eq!(sweep.void_dead_owners().await, 0);
    sweep.books.prove().await;
}

#[rstest]
#[case::a_moment_ago(-1, 1)]
#[case::now(0, 0)]
#[case::in_a_moment(1, 0)]
#[tokio::test]
async fn a_hold_past_its_time_expires_though_its_owner_lives(#[case] open_ms: i64, #[case] expired: usize) {
    let mut sweep = Sweep::new().await;
    sweep.register(sweep.books.owner).await;
    sweep.hold(request_at(START, 1), sweep.books.owner, open_ms).await;
    assert_eq!(sweep.expire().await, expired);
    assert_eq!(sweep.outcomes(), vec!["expired"; expired]);
    assert_eq!(sweep.books.balance(sweep.tenant).await, (1_000_000, 1 - expired as i64));
    sweep.books.prove().await;
}

#[rstest]
#[case::just_heard(0, 0)]
#[case::heard_lately(SILENCE_MS - 1, 0)]
#[case::silent(SILENCE_MS, 1)]
#[tokio::test]
async fn a_hold_of_a_silent_owner_expires(#[case] silent_ms: i64, #[case] expired: usize) {
    let mut sweep = Sweep::new().await;
    let (owner, other) = (ProcessId::new(), ProcessId::new());
    sweep.register(owner).await;
    sweep.hold(request_at(START, 1), owner, 600_000).await;
    // A later sign of life counts, but only that of the owner itself.
    sweep.books.advance(20_000);
    sweep.heartbeat(owner).await;
    sweep.books.advance(silent_ms);
    sweep.register(other).await;
    assert_eq!(sweep.expire().await, expired);
    assert_eq!(sweep.expire().await, 0, "once is enough");
    sweep.books.prove().await;
}

/// Also that a process does not end its own calls because its heartbeat is late: its own was never written here.
#[tokio::test]
async fn a_hold_of_an_owner_that_nobody_knows_expires() {
    let mut sweep = Sweep::new().await;
    sweep.hold(request_at(START, 1), ProcessId::new(), 600_000).await;
    sweep.hold(request_at(START, 2), sweep.books.owner, 600_000).await;
    // A heartbeat does not bring back what was never registered.
    sweep.heartbeat(ProcessId::new()).await;
    assert_eq!(sweep.expire().await, 1);
    assert_eq!(sweep.books.balance(sweep.tenant).await, (1_000_000, 1));
}

#[tokio::test]
async fn processes_that_were_silent_for_a_day_are_forgotten() {
    let sweep = Sweep::new().await;
    let (old, kept) = (ProcessId::new(), ProcessId::new());
    sweep.register(old).await;
    sweep.register(kept).await;
    sweep.books.advance(1);
    sweep.heartbeat(kept).await;
    sweep.books.advance(86_400_000);
    sweep.register(ProcessId::new()).await;
    let seen = sweep.books.numbers("SELECT seen_at AS number FROM processes ORDER BY seen_at");
    assert_eq!(seen, [i128::from(START.0) + 1, i128::from(START.0) + 86_400_001]);
}

/// Three pages of open holds; the sweeper must come to the last of them.
#[tokio::test]
async fn many_open_holds_are_read_to_the_end() {
    const HOLDS: u64 = 2_100;
    let mut sweep = Sweep::new().await;
    let (own, dead) = (sweep.books.owner, ProcessId::new());
    sweep.register(own).await;
    let holds = (0..HOLDS).map(|number| {
        let owner = if number < 1_050 { own } else { dead };
        Operation::Hold(Hold { request_id: request_at(START, number), owner, ..sweep.books.hold(sweep.tenant, 1) })
    });
    for answer in sweep.books.together(holds.collect()).await {
        answer.unwrap();
    }
    assert_eq!(sweep.expire().await, 1_050);
    assert_eq!(sweep.books.balance(sweep.tenant).await, (1_000_000, 1_050));
    assert_eq!(sweep.expire().await, 0);
}

#[tokio::test]
async fn the_mark_is_kept_and_spares_the_settled_past() {
    let mut sweep = Sweep::new().await;
    sweep.register(sweep.books.owner).await;
    sweep.books.advance(LATE_MS);
    // Everything before START is settled, and nothing can be committed there any more.
    assert_eq!(sweep.expire().await, 0);
    sweep.save_and_load().await;
    let kept = sweep.books.words(if sweep.books.is_sqlite() {
        "SELECT lower(hex(value)) AS word FROM facts WHERE name = 'settled_below'"
    } else {
        "SELECT encode(value, 'hex') AS word FROM facts WHERE name = 'settled_below'"
    });
    assert_eq!(kept, [RequestId::floor(START).simple().to_string()]);
    // This cannot happen; that it is not found shows that the past is not read again.
    sweep.hold(request_at(START.plus_ms(-1), 1), ProcessId::new(), -1).await;
    assert_eq!(sweep.expire().await, 0);
    sweep.sweeper = Sweeper::load(&sweep.books.database, sweep.books.owner, sweep.books.clock.now()).await.unwrap();
    assert_eq!(sweep.expire().await, 0);
}

#[tokio::test]
async fn the_mark_does_not_pass_an_old_open_hold() {
    let mut sweep = Sweep::new().await;
    sweep.register(sweep.books.owner).await;
    sweep.hold(request_at(START, 1), sweep.books.owner, 10_000_000).await;
    for _ in 0..3 {
        sweep.books.advance(3_000_000);
        sweep.heartbeat(sweep.books.owner).await;
        // Made and settled later.
        let later = request_at(sweep.books.clock.now(), 2);
        sweep.hold(later, sweep.books.owner, 1_000).await;
        sweep.books.ledger.end(later, sweep.tenant, Ended::Voided).await.unwrap().unwrap();
        assert_eq!(sweep.expire().await, 0);
        sweep.save_and_load().await;
    }
    sweep.books.advance(1_000_001);
    assert_eq!(sweep.expire().await, 1);
    sweep.books.prove().await;
}

#[tokio::test]
async fn the_mark_does_not_pass_a_hold_that_comes_late() {
    let mut sweep = Sweep::new().await;
    let made = request_at(START, 1);
    sweep.books.advance(LATE_MS);
    // Swept at the very last moment at which a hold of that id may not be there yet.
    assert_eq!(sweep.expire().await, 0);
    sweep.save_and_load().await;
    sweep.hold(made, ProcessId::new(), 600_000).await;
    assert_eq!(sweep.expire().await, 1);
}

/// Holds made, made late, settled and forgotten in every order, over days and restarts: after a sweep none is left behind.
#[rstest]
#[case(1)]
#[case(2)]
#[case(3)]
#[tokio::test]
async fn no_sweep_leaves_one_behind(#[case] seed: u64) {
    let mut sweep = Sweep::new().await;
    let mut state = seed;
    let mut random = move |bound: i64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(state >> 33).unwrap() % bound
    };
    sweep.register(sweep.books.owner).await;
    let (mut running, mut expired) = (Vec::new(), 0);
    for number in 0..400 {
        let now = sweep.books.clock.now();
        match random(10) {
            0..5 => {
                let made = request_at(now.plus_ms(-random(LATE_MS)), number);
                let owner = if random(5) == 0 { ProcessId::new() } else { sweep.books.owner };
                let open_ms = if random(8) == 0 { random(80_000_000) } else { random(700_000) };
                sweep.hold(made, owner, open_ms).await;
                running.push(made);
            }
            5..7 if !running.is_empty() => {
                let request = running.swap_remove(usize::try_from(random(running.len() as i64)).unwrap());
                // The sweeper may have been first.
                let _ = sweep.books.ledger.end(request, sweep.tenant, Ended::Voided).await.unwrap();
            }
            7 => sweep.books.advance(random(100_000)),
            8 if random(20) == 0 => sweep.books.advance(40_000_000),
            9 if random(3) == 0 => sweep.save_and_load().await,
            _ => {
                sweep.heartbeat(sweep.books.owner).await;
                expired += sweep.expire().await;
                let forgotten = format!(
                    "SELECT count(*) AS number FROM holds h WHERE (h.expires_at < {} OR h.owner <> {}) AND NOT EXISTS \
                     (SELECT 1 FROM settlements s WHERE s.request_id = h.request_id)",
                    now.0,
                    sweep.books.blob(&sweep.books.owner.simple().to_string())
                );
                assert_eq!(sweep.books.numbers(&forgotten), [0], "step {number}");
            }
        }
    }
    assert!(expired > 20, "only {expired}");
    sweep.heartbeat(sweep.books.owner).await;
    sweep.expire().await;
    sweep.books.prove().await;
}

/// The sweeper has seen the hold open; its charge comes first all the same.
#[test]
fn what_is_settled_meanwhile_is_left_alone() {
    // With one thread for reads, a read that has returned shows that those asked for before it have, too.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let books = Books::with(Clock::manual(START), WriterSettings { queue: 2, ..WriterSettings::default() }).await;
        let tenant = books.tenant("t", 100).await;
        let request = books.held(tenant, 10).await;
        let gate = books.close_gate().await;
        // Sent; that nobody waits for its answer does not matter.
        let charge = books.ledger.capture(capture(request, tenant, 7));
        assert!(tokio::time::timeout(Duration::ZERO, charge).await.is_err());
        let (database, ledger, now) = (books.database.clone(), books.ledger.clone(), books.clock.now());
        let sweep = tokio::spawn(async move {
            let mut sweeper = Sweeper::load(&database, ProcessId::new(), now).await.unwrap();
            sweeper.expire(&database, &ledger, now, SILENCE_MS).await.unwrap()
        });
        for _ in 0..10 {
            tokio::task::yield_now().await;
            books.balance(tenant).await;
        }
        if books.is_sqlite() {
            // Two are in the line: the charge and, behind it, the sweeper's release.
            let third: Result<(), shared::db::DbError> = books.database.write(|_| Ok(())).await;
            assert!(third.is_err(), "the sweeper has not come so far");
        }
        gate.open();
        assert_eq!(sweep.await.unwrap(), 0);
        assert_eq!(books.words("SELECT outcome AS word FROM settlements"), ["captured"]);
        assert_eq!(books.balance(tenant).await, (93, 0));
        books.prove().await;
    });
}

#[tokio::test]
async fn two_sweepers_release_each_hold_once() {
    let mut sweep = Sweep::new().await;
    for number in 0..50 {
        sweep.hold(request_at(START, number), ProcessId::new(), 600_000).await;
    }
    let mut other = Sweeper::load(&sweep.books.database, sweep.books.owner, sweep.books.clock.now()).await.unwrap();
    let (database, ledger, now) = (sweep.books.database.clone(), sweep.books.ledger.clone(), sweep.books.clock.now());
    let (one, another) = tokio::join!(sweep.expire(), other.expire(&database, &ledger, now, SILENCE_MS));
    assert_eq!(one + another.unwrap(), 50);
    assert_eq!(sweep.books.balance(sweep.tenant).await, (1_000_000, 0));
    sweep.books.prove().await;
}

/// A disk that stalls for a minute stalls the heartbeat too; the calls that wait for it go on.
#[tokio::test]
async fn a_process_never_judges_itself_by_its_heartbeat() {
    let mut sweep = Sweep::new().await;
    sweep.register(sweep.books.owner).await;
    sweep.hold(request_at(START, 1), sweep.books.owner, 600_000).await;
    sweep.books.advance(SILENCE_MS + 60_000);
    assert_eq!(sweep.expire().await, 0, "silent, but it is us");
    sweep.books.advance(600_000);
    assert_eq!(sweep.expire().await, 1, "past its time all the same");
    sweep.books.prove().await;
}

/// The clock ran ahead when the mark was kept, and was set back: what is held now is still found.
#[tokio::test]
async fn a_mark_from_the_future_hides_nothing() {
    let mut sweep = Sweep::new().await;
    sweep.books.advance(36_000_000);
    sweep.expire().await;
    sweep.books.advance(-36_000_000);
    sweep.hold(request_at(START, 1), ProcessId::new(), 600_000).await;
    sweep.save_and_load().await;
    assert_eq!(sweep.expire().await, 1);
    sweep.books.prove().await;
}
