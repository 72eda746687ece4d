//! What is known of the queue and of channels over a range of time, and what of the time before it was counted.

use diesel::connection::SimpleConnection;
use shared::calls::{CallRecord, Status};
use shared::clock::Timestamp;
use shared::db::{Connection, Database, DbError};
use shared::id::TenantId;
use shared::queue::{Endpoint, Try, TryOutcome, Way};
use shared::rollups::{self, Dashboard, Step};

use crate::calls::Bench;
use crate::ledger::books::request_at;

const DAY_MS: i64 = 86_400_000;
const MINUTE_MS: i64 = 60_000;

fn tried(channel: &str, outcome: TryOutcome, first_text_ms: Option<i64>) -> Try {
    Try { channel: channel.to_owned(), outcome, ms: 30, first_text_ms }
}

/// Four calls, and the midnight of UTC before them, which is that of yesterday.
async fn four_calls() -> (Bench, Timestamp) {
    let bench = Bench::new(&[]).await;
    let now = bench.deployment.clock.now().0;
    let midnight = Timestamp(now - now % DAY_MS - DAY_MS);
    let ways = [
        (10, Some(90_000), vec![tried("a", TryOutcome::Failed, None)]),
        (20, Some(450_000), vec![tried("a", TryOutcome::Timeout, None), tried("b", TryOutcome::Ok, Some(40))]),
        // Its client left while it waited.
        (20, None, Vec::new()),
        (24 * 60 + 5, Some(60_000), vec![tried("b", TryOutcome::Failed, None)]),
    ];
    for (number, (minutes, queued_ms, tries)) in (0..).zip(ways) {
        bench.deployment.calls.record(CallRecord {
            request_id: request_at(midnight.plus_ms(minutes * MINUTE_MS), number),
            tenant: TenantId(1001),
            key: "0123456789AB".parse().unwrap(),
            endpoint: Endpoint::Chat,
            model: if number == 0 { "gpt-3.5" } else { "gpt-4" }.to_owned(),
            end_user: None,
            streamed: true,
            status: Status::ANSWERED,
            first_text_ms: None,
            ended_ms: 1_000,
            way: Way { queued_ms, tries },
        });
    }
    bench.deployment.calls.flush().await;
    (bench, midnight)
}

async fn dashboard(bench: &Bench, from: Timestamp, to: Timestamp, step: Step) -> Dashboard {
    bench.deployment.database.read(move |connection| rollups::dashboard(connection, from, to, step)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_are_known_step_by_step() {
    let (bench, midnight) = four_calls().await;
    let hour = dashboard(&bench, midnight, midnight.plus_ms(60 * MINUTE_MS), Step::Quarter).await;
    let waits: Vec<_> = hour.points.iter().map(|point| point.figures).collect();
    let waits: Vec<_> = waits.iter().map(|each| (each.queued, each.mean_wait_ms(), each.longest_wait_ms)).collect();
    let (first, second) = ((1, Some(90_000), Some(90_000)), (1, Some(450_000), Some(450_000)));
    assert_eq!(waits, [first, second, (0, None, None), (0, None, None)]);
    assert_eq!((hour.total.mean_wait_ms(), hour.total.longest_wait_ms), (Some(270_000), Some(450_000)));
    // 90 s of the quarter's 900 somebody waited, and 450 s of the next one's.
    let depths: Vec<_> = hour.points.iter().map(|point| point.figures.mean_depth()).collect();
    assert_eq!((depths.as_slice(), hour.total.mean_depth()), (&[100, 500, 0, 0][..], 150));

    // The quarter in which it begins counts whole, the last one as far as it goes.
    let part =
        dashboard(&bench, midnight.plus_ms(20 * MINUTE_MS), midnight.plus_ms(40 * MINUTE_MS), Step::Quarter).await;
    assert_eq!(part.points.iter().map(|point| point.figures.length_ms).collect::<Vec<_>>(), [900_000, 600_000]);
    assert_eq!((part.total.queued_ms, part.total.mean_depth()), (450_000, 300));

    let days = dashboard(&bench, midnight, midnight.plus_ms(2 * DAY_MS), Step::Day(chrono_tz::UTC)).await;
    assert_eq!(days.points.iter().map(|point| point.figures.queued_ms).collect::<Vec<_>>(), [540_000, 60_000]);
    for zone in [chrono_tz::UTC, chrono_tz::America::New_York] {
        let weeks =
            dashboard(&bench, midnight.plus_ms(-20 * DAY_MS), midnight.plus_ms(20 * DAY_MS), Step::Week(zone)).await;
        assert_eq!(weeks.points.iter().map(|point| point.figures.queued_ms).sum::<i64>(), 600_000, "{zone}");
        assert!([6, 7].contains(&weeks.points.len()) && weeks.total.length_ms == 40 * DAY_MS, "{zone}: {weeks:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_are_known_over_the_range_alone() {
    let (bench, midnight) = four_calls().await;
    let two_days = (midnight, midnight.plus_ms(2 * DAY_MS));
    let shown = |did: Dashboard| -> Vec<String> {
        let channels = did.channels.into_iter().map(|channel| {
            let (name, health) = (channel.name, channel.health);
            let last = health.last_error.map(|(word, at)| (word, at.since(midnight) / MINUTE_MS));
            format!("{name} {} {:?} {:?} {last:?}", health.attempts, channel.failures, health.first_text_ms)
        });
        channels.collect()
    };
    let hour = dashboard(&bench, midnight, midnight.plus_ms(60 * MINUTE_MS), Step::Hour).await;
    assert_eq!(shown(hour), ["a 2 [2] None Some((\"timeout\", 20))", "b 1 [0] Some(40) None"]);
    for (step, b) in [(Step::Day(chrono_tz::UTC), "[0, 1]"), (Step::Day(chrono_tz::Asia::Shanghai), "[0, 1, 0]")] {
        let all = shown(dashboard(&bench, two_days.0, two_days.1, step).await);
        assert_eq!(all[1], format!("b 2 {b} Some(40) Some((\"failed\", 1445))"), "{step:?}");
    }
    let later = dashboard(&bench, midnight.plus_ms(DAY_MS), two_days.1, Step::Quarter).await;
    assert_eq!(later.points.len(), 96);
    let shown = shown(later);
    assert!(shown.len() == 1 && shown[0].starts_with("b 1 [1, 0, 0"), "{shown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_before_it_was_counted_is_counted() {
    let (bench, midnight) = four_calls().await;
    let step = Step::Quarter;
    let before = dashboard(&bench, midnight, midnight.plus_ms(2 * DAY_MS), step).await;
    assert_eq!((before.total.queued, before.channels.len()), (3, 2));
    let older = "ALTER TABLE call_slots DROP COLUMN queued; ALTER TABLE call_slots DROP COLUMN queued_ms; \
        ALTER TABLE call_slots DROP COLUMN longest_queued_ms; DROP TABLE channel_slots; \
        DELETE FROM __diesel_schema_migrations WHERE version = '20261128000019'";
    let go_back = |connection: &mut Connection| Ok::<_, DbError>(connection.batch_execute(older)?);
    bench.deployment.database.write(go_back).await.unwrap();
    let (_, migrations) = Database::open_or_create(bench.deployment.database.url()).unwrap();
    assert_eq!(migrations, 1);
    assert_eq!(dashboard(&bench, midnight, midnight.plus_ms(2 * DAY_MS), step).await, before);
}
