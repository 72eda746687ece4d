//! What is kept of calls for people to look at: by whom, of which ends, and how much of it in the worst case.

use bytes::Bytes;
use diesel::connection::SimpleConnection;
use shared::admission::request::{Body, Rules};
use shared::calls::{self, CallRecord, RefusedFilter, RefusedKey, Status};
use shared::clock::Timestamp;
use shared::db::Connection;
use shared::id::{RequestId, TenantId};
use shared::queue::{End, Endpoint, Try, TryOutcome, Way};
use shared::refusal::{Reason, Refusal};

use crate::calls::{Bench, chunk, failure, produced};
use crate::place;

impl Bench {
    /// The column `word` of a query's rows, after all that was handed over is written.
    async fn kept(&self, query: &str) -> Vec<String> {
        self.deployment.calls.flush().await;
        place::words(&mut place::bare_connection(self.deployment.database.url()), query)
    }

    async fn statuses(&self) -> Vec<String> {
        self.kept("SELECT word FROM calls ORDER BY request_id").await
    }
}

fn tried(channel: &str, outcome: TryOutcome, ms: i64, first_text_ms: Option<i64>) -> Try {
    Try { channel: channel.to_owned(), outcome, ms, first_text_ms }
}

fn record(request_id: RequestId, status: Status) -> CallRecord {
    CallRecord {
        request_id,
        tenant: TenantId(1001),
        key: "0123456789AB".parse().unwrap(),
        endpoint: Endpoint::Chat,
        model: "gpt-4".to_owned(),
        end_user: None,
        streamed: false,
        status,
        first_text_ms: None,
        ended_ms: 40,
        way: Way::default(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answered_call_is_kept_with_its_way() {
    let bench = Bench::new(&[]).await;
    let (mut call, delivery) = bench.admit_and_take().await;
    delivery.send(chunk(5)).await.unwrap();
    let tries = vec![tried("first", TryOutcome::Timeout, 30, None), tried("渠道", TryOutcome::Ok, 9, Some(4))];
    let way = Way { queued_ms: Some(7), tries };
    let end = End::Answered { held_back: vec![Bytes::from_static(b"{}")], produced: produced(7), way };
    bench.deployment.queue.finish(delivery, end).await.unwrap();
    while call.next().await.is_some() {}
    let row = "SELECT key_id || ' ' || endpoint || ' ' || model || ' ' || CASE WHEN streamed THEN 'streamed' ELSE 'whole' END || \
               ' ' || word || ' ' || status || ' ' || queued_ms || ' ' || channel || ' ' || tries || ' ' || \
               CASE WHEN first_text_ms >= 0 AND ended_ms >= first_text_ms THEN 'in order' ELSE 'not' END AS word FROM calls";
    assert_eq!(
        bench.kept(row).await,
        ["0123456789AB chat gpt-3.5 streamed answered 0 7 渠道 \
          [{\"c\":\"first\",\"o\":\"timeout\",\"m\":30},{\"c\":\"渠道\",\"o\":\"ok\",\"m\":9,\"f\":4}] in order"]
    );
    let now = bench.deployment.clock.now();
    let since = now.plus_ms(-900_000);
    let health =
        bench.deployment.database.read(move |connection| calls::channel_health(connection, since)).await.unwrap();
    let (first, second) = (&health["first"], &health["渠道"]);
    assert_eq!((first.attempts, first.failures, first.first_text_ms), (1, 1, None));
    assert_eq!(first.last_error.as_ref().map(|(word, _)| word.as_str()), Some("timeout"));
    assert_eq!((second.attempts, second.failures, second.first_text_ms), (1, 0, Some(4)));
    assert_eq!(second.last_error, None);
    let later = now.plus_ms(120_000);
    let health = bench.deployment.database.read(move |connection| calls::channel_health(connection, later)).await;
    assert!(health.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_kept_however_it_ends() {
    let bench = Bench::new(&[]).await;
    let queue = &bench.deployment.queue;
    // Told by a worker.
    let (mut call, delivery) = bench.admit_and_take().await;
    let refusal = Refusal::new(Reason::UpstreamError, "x");
    queue.finish(delivery, End::Failed { refusal, produced: None, way: Way::default() }).await.unwrap();
    failure(&mut call).await;
    // The worker died.
    let (mut call, delivery) = bench.admit_and_take().await;
    drop(delivery);
    failure(&mut call).await;
    // The client left: while the call waited, and after the end had come.
    drop(bench.admit().await.unwrap());
    bench.settled_balance().await;
    let (call, delivery) = bench.admit_and_take().await;
    let end = End::Answered { held_back: vec![Bytes::from_static(b"{}")], produced: produced(7), way: Way::default() };
    queue.finish(delivery, end).await.unwrap();
    drop(call);
    bench.settled_balance().await;
    // Those settle in tasks of their own, and hand over after that.
    while bench.statuses().await.len() < 4 {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.statuses().await, ["upstream_error", "internal_error", "client_left", "client_left"]);
    let days = "SELECT status || ' ' || calls AS word FROM call_days ORDER BY status";
    assert_eq!(bench.kept(days).await, ["49900 2", "50000 1", "50200 1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_before_it_has_a_hold_is_only_counted() {
    let bench = Bench::new(&[("XIAOYI_PRICE_COMPLETION", "1000000.00")]).await;
    let admission = &bench.deployment.admission;
    for _ in 0..3 {
        assert_eq!(bench.admit().await.unwrap_err().reason, Reason::InsufficientQuota);
    }
    let (tenant, key) = (bench.caller.tenant, bench.caller.key);
    admission.count_refusal(tenant, key, Some("no such model"), Reason::ModelNotFound);
    admission.count_refusal(tenant, key, None, Reason::InvalidJson);
    assert!(bench.statuses().await.is_empty());
    let refused = "SELECT code || ' ' || model || ' ' || refused AS word FROM refusals ORDER BY code";
    assert_eq!(bench.kept(refused).await, ["40000  1", "40200 gpt-3.5 3", "40400  1"]);
    let slots = "SELECT model || ' ' || calls || ' ' || refused AS word FROM call_slots ORDER BY model";
    assert_eq!(bench.kept(slots).await, [" 0 2", "gpt-3.5 0 3"]);
    let (from, to) = (bench.deployment.clock.now(), bench.deployment.clock.now().plus_ms(1));
    let of = |tenant, key| {
        let database = bench.deployment.database.clone();
        async move {
            let filter = RefusedFilter { tenant, key, model: None, code: None, from, to };
            database.read(move |connection| calls::refused(connection, &filter)).await.unwrap()
        }
    };
    let all = of(None, None).await;
    assert_eq!(all.iter().map(|row| (row.code, row.count)).collect::<Vec<_>>(), [(40200, 3), (40000, 1), (40400, 1)]);
    assert_eq!(of(Some(tenant), Some(key)).await, all);
    assert!(of(Some(TenantId(1)), None).await.is_empty());
    let of_one = RefusedFilter { tenant: None, key: None, model: None, code: Some(40_200), from, to };
    let asked = of_one.clone();
    let rows = bench.deployment.database.read(move |connection| calls::refused(connection, &asked)).await.unwrap();
    assert_eq!(rows, all[..1]);
    let keys =
        bench.deployment.database.read(move |connection| calls::refused_keys(connection, &of_one)).await.unwrap();
    assert_eq!(keys, [RefusedKey { tenant, key, model: "gpt-3.5".to_owned(), count: 3 }]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_the_queue_does_not_take_has_had_a_hold() {
    let bench = Bench::new(&[]).await;
    bench.deployment.queue.close();
    // `room` looks at numbers only, so the money is held before the queue says no.
    let body = br#"{"messages":[{"role":"user","content":"hello"}]}"#;
    let limits = bench.deployment.admission.model(&bench.caller, "gpt-3.5").unwrap();
    let request =
        Body::parse(body).unwrap().call(Endpoint::Chat, Rules::OpenAi, "gpt-3.5".to_owned(), &limits).unwrap();
    let refused = bench.deployment.admission.admit(&bench.caller, RequestId::new(), request, None).await.unwrap_err();
    assert_eq!(refused.refusal.reason, Reason::Unavailable);
    let kept = bench.statuses().await;
    let counted = bench.kept("SELECT model AS word FROM refusals").await;
    // Either way it is known once.
    assert_eq!(kept.len() + counted.len(), 1, "{kept:?} {counted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_comes_twice_counts_once() {
    let bench = Bench::new(&[]).await;
    let (one, two) = (RequestId::new(), RequestId::new());
    for request_id in [one, one, two] {
        bench.deployment.calls.record(record(request_id, Status::ANSWERED));
    }
    bench.deployment.calls.flush().await;
    bench.deployment.calls.record(record(two, Status::CLIENT_LEFT));
    assert_eq!(bench.statuses().await, ["answered", "answered"]);
    let counted = "SELECT calls || ' ' || answered || ' ' || c1 AS word FROM call_slots";
    assert_eq!(bench.kept(counted).await, ["2 2 2"]);
}

#[tokio::test]
async fn more_than_waits_at_most_is_dropped_and_nobody_waits() {
    let bench = Bench::new(&[]).await;
    // Nothing else runs on this one thread meanwhile.
    for _ in 0..5_000 {
        bench.deployment.calls.record(record(RequestId::new(), Status::ANSWERED));
    }
    let count = "SELECT CAST(count(*) AS TEXT) AS word FROM calls";
    assert_eq!(bench.kept(count).await, ["4096"]);
    assert!(bench.deployment.calls.finish(std::time::Duration::from_secs(10)).await);
    bench.deployment.calls.record(record(RequestId::new(), Status::ANSWERED));
    assert_eq!(bench.kept(count).await, ["4096"], "what comes after the end is dropped too");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_that_the_database_refuses_takes_no_other_with_it() {
    let bench = Bench::new(&[]).await;
    let mut stranger = place::bare_connection(bench.deployment.database.url());
    let rules = match stranger {
        Connection::Sqlite(_) => ["calls", "refusals"].map(|table| {
            format!(
                "CREATE TRIGGER {table}_poisoned BEFORE INSERT ON {table} WHEN NEW.model = 'poison' \
                 BEGIN SELECT RAISE(ABORT, 'poisoned'); END"
            )
        }),
        Connection::Postgres(_) => ["calls", "refusals"]
            .map(|table| format!("ALTER TABLE {table} ADD CONSTRAINT {table}_poisoned CHECK (model <> 'poison')")),
    };
    stranger.batch_execute(&rules.join("; ")).unwrap();
    let now = bench.deployment.clock.now();
    for number in 0..600_u64 {
        let model = if matches!(number, 17 | 18 | 333 | 599) { "poison" } else { "gpt-4" };
        let request_id = crate::ledger::books::request_at(now, number);
        let call = record(request_id, Status::ANSWERED);
        bench.deployment.calls.record(CallRecord { model: model.to_owned(), ..call });
    }
    for model in ["a", "poison", "b", "poison", "b"] {
        bench.deployment.calls.refused(TenantId(1001), "0123456789AB".parse().unwrap(), model, Reason::Timeout, now);
    }
    let kept = "SELECT model || ' ' || CAST(count(*) AS TEXT) AS word FROM calls GROUP BY model";
    assert_eq!(bench.kept(kept).await, ["gpt-4 596"]);
    let refused = "SELECT model || ' ' || refused AS word FROM refusals ORDER BY model";
    assert_eq!(bench.kept(refused).await, ["a 1", "b 2"]);
    let slots = "SELECT model || ' ' || calls || ' ' || refused AS word FROM call_slots ORDER BY model";
    assert_eq!(bench.kept(slots).await, ["a 0 1", "b 0 2", "gpt-4 596 0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_details_are_removed_and_their_counts_stay() {
    let bench = Bench::new(&[]).await;
    let now = bench.deployment.clock.now();
    let old = now.plus_ms(-10 * 86_400_000 - 1_000);
    for number in 0..700_u64 {
        let request_id = crate::ledger::books::request_at(if number < 600 { old } else { now }, number);
        let tries = vec![tried("c", TryOutcome::Ok, 1, None)];
        let way = Way { queued_ms: None, tries };
        bench.deployment.calls.record(CallRecord { way, ..record(request_id, Status::ANSWERED) });
    }
    bench.deployment.calls.refused(
        TenantId(1001),
        "0123456789AB".parse().unwrap(),
        "m",
        Reason::Timeout,
        old.plus_ms(-900_000),
    );
    bench.deployment.calls.flush().await;
    let purge = || bench.deployment.database.write(move |connection| calls::purge(connection, 10, now));
    assert!(purge().await.unwrap(), "a step removes 500");
    assert!(!purge().await.unwrap());
    assert_eq!(bench.kept("SELECT CAST(count(*) AS TEXT) AS word FROM calls").await, ["100"]);
    assert_eq!(bench.kept("SELECT CAST(sum(calls) AS TEXT) AS word FROM call_days").await, ["700"]);
    assert!(bench.kept("SELECT model AS word FROM refusals").await.is_empty());
    let minutes = bench.kept("SELECT CAST(attempts AS TEXT) AS word FROM channel_minutes").await;
    assert_eq!(minutes, ["100"]);
    let quarters = bench.kept("SELECT CAST(sum(attempts) AS TEXT) AS word FROM channel_slots").await;
    assert_eq!(quarters, ["700"]);
    assert_eq!(RequestId::floor(Timestamp(1_234)).made_at(), Timestamp(1_234));
}
