//! What a call costs whose queue is lost under it: a real Redis that is emptied.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use shared::admission::{Admission, AdmissionParts, Step};
use shared::billing::Produced;
use shared::id::{ProcessId, RequestId, TenantId};
use shared::limits::MemoryLimits;
use shared::money::Amount;
use shared::queue::{
    Cancellation, Delivery, Depth, End, Frames, Interruption, Job, Queue, QueueLimits, RedisQueue, SLOW_CLIENT_MS,
    SubmitError, Timings, Way,
};
use shared::redis_store::{RedisPool, RedisSettings, RedisTimeouts};
use shared::refusal::{Reason, Refusal};
use testkit::Redis;
use tokio::sync::Notify;

use crate::calls::{Bench, capture, chunk, failure};

/// A queue that says when it is given a job.
#[derive(Debug)]
struct Announcing {
    queue: Arc<dyn Queue>,
    submitting: Arc<Notify>,
}

#[async_trait]
impl Queue for Announcing {
    async fn submit(&self, job: Job) -> Result<Frames, SubmitError> {
        self.submitting.notify_one();
        self.queue.submit(job).await
    }

    async fn room(&self, tenant: TenantId) -> Result<(), SubmitError> {
        self.queue.room(tenant).await
    }

    async fn withdraw(&self, request_id: RequestId) -> bool {
        self.queue.withdraw(request_id).await
    }

    async fn cancel(&self, request_id: RequestId) -> Cancellation {
        self.queue.cancel(request_id).await
    }

    async fn take(&self) -> Option<Delivery> {
        self.queue.take().await
    }

    async fn watch(&self, delivery: &Delivery) -> Interruption {
        self.queue.watch(delivery).await
    }

    async fn finish(&self, delivery: Delivery, end: End) -> Result<(), Interruption> {
        self.queue.finish(delivery, end).await
    }

    async fn hand_back(&self, delivery: Delivery) {
        self.queue.hand_back(delivery).await;
    }

    fn close(&self) {
        self.queue.close();
    }

    async fn depth(&self) -> Depth {
        self.queue.depth().await
    }
}

struct Scene {
    bench: Bench,
    submitting: Arc<Notify>,
    pool: RedisPool,
    _redis: Redis,
}

/// The bench, with a queue on a Redis of its own, which may take the usual time for an answer.
async fn scene() -> Scene {
    scene_with(RedisTimeouts::default()).await
}

async fn scene_with(timeouts: RedisTimeouts) -> Scene {
    let redis = Redis::start().unwrap();
    let settings = RedisSettings { timeouts, ..RedisSettings::new(redis.url().into()) };
    let limit = Instant::now() + Duration::from_secs(20);
    let pool = loop {
        match RedisPool::connect(&settings).await {
            Ok(pool) => break pool,
            Err(error) => assert!(Instant::now() < limit, "{error}"),
        }
    };
    let mut bench = Bench::new(&[]).await;
    let deployment = &mut bench.deployment;
    let limits = QueueLimits {
        capacity: 9,
        tenant_share: 9,
        large_bytes: 1 << 30,
        frames: 9,
        slots: 9,
        slow_client_ms: SLOW_CLIENT_MS,
    };
    let (process, clock) = (ProcessId::new(), deployment.clock.clone());
    let queue = RedisQueue::connect(pool.clone(), limits, process, true, clock.clone(), Timings::default()).await;
    let submitting = Arc::new(Notify::new());
    deployment.queue = Arc::new(Announcing { queue: Arc::new(queue.unwrap()), submitting: Arc::clone(&submitting) });
    deployment.admission = Admission::new(AdmissionParts {
        database: deployment.database.clone(),
        sealer: Arc::clone(&deployment.sealer),
        ledger: deployment.ledger.clone(),
        queue: Arc::clone(&deployment.queue),
        limits: Arc::new(MemoryLimits::new(clock.clone())),
        catalogue: deployment.catalogue.clone(),
        settings: Arc::clone(&deployment.settings),
        clock,
        process: deployment.process,
        calls: deployment.calls.clone(),
    });
    Scene { bench, submitting, pool, _redis: redis }
}

impl Scene {
    async fn lose_all(&self) {
        let _: redis::Value = self.pool.command(&redis::cmd("FLUSHALL")).await.unwrap();
    }

    async fn finish_in_vain(&self, delivery: Delivery, end: End) {
        assert!(self.bench.deployment.queue.finish(delivery, end).await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_text_is_refused_as_unavailable_and_costs_nothing() {
    let scene = scene().await;
    let mut waiting = scene.bench.admit().await.unwrap();
    let (mut running, delivery) =
        (scene.bench.admit().await.unwrap(), scene.bench.deployment.queue.take().await.unwrap());
    scene.lose_all().await;
    let lost = Instant::now();
    for call in [&mut waiting, &mut running] {
        let failure = failure(call).await;
        assert_eq!((failure.refusal, failure.charged), (Refusal::unavailable(), None));
    }
    assert!(lost.elapsed() < Duration::from_secs(2), "{:?}", lost.elapsed());
    scene.finish_in_vain(delivery, End::Lost).await;
    scene.bench.expect("10").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_passed_on_is_charged() {
    let scene = scene().await;
    let (mut call, delivery) = scene.bench.admit_and_take().await;
    delivery.send(chunk(4)).await.unwrap();
    assert!(matches!(call.next().await, Some(Step::Chunk(_))));
    scene.lose_all().await;
    let failure = failure(&mut call).await;
    assert_eq!(failure.refusal.reason, Reason::Unavailable);
    // 2 tokens of prompt at 10 and 4 of completion at 30 a million.
    assert_eq!(failure.charged, Some("0.00014".parse().unwrap()));
    assert!(!failure.refusal.message.contains("nothing was charged"), "{}", failure.refusal);
    scene.finish_in_vain(delivery, End::Lost).await;
    scene.bench.expect("9.99986").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_for_an_answer_that_was_lost_is_given_back() {
    let scene = scene().await;
    let (mut call, delivery) = scene.bench.admit_and_take().await;
    scene.lose_all().await;
    capture(&scene.bench, &delivery, 4).await;
    let produced = Produced::default();
    scene.finish_in_vain(delivery, End::Answered { held_back: vec!["{}".into()], produced, way: Way::default() }).await;
    let failure = failure(&mut call).await;
    assert_eq!((failure.refusal, failure.charged), (Refusal::unavailable(), None));
    scene.bench.expect("10").await;
}

/// Until Redis has answered nobody knows whether a worker has the job: were its hold voided before, that worker would work for nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_hold_of_a_client_that_leaves_stays_while_its_job_is_on_its_way() {
    let scene = scene_with(RedisTimeouts { response: Duration::from_secs(60), ..RedisTimeouts::default() }).await;
    let bench = &scene.bench;
    let _: redis::Value = scene.pool.command(redis::cmd("CLIENT").arg("PAUSE").arg(60_000).arg("WRITE")).await.unwrap();
    tokio::select! {
        admitted = bench.admit() => panic!("Redis did not stand still: {admitted:?}"),
        () = scene.submitting.notified() => {}
    }
    // The client has left. What is voided too soon is voided within milliseconds.
    let left = Instant::now();
    while left.elapsed() < Duration::from_millis(200) {
        assert_ne!(bench.held().await, Amount::ZERO);
    }
    let _: redis::Value = scene.pool.command(redis::cmd("CLIENT").arg("UNPAUSE")).await.unwrap();
    tokio::select! {
        // Called off when it had reached a worker: that one settles, and what it has generated is charged.
        delivery = bench.deployment.queue.take() => {
            let delivery = delivery.unwrap();
            assert_eq!(bench.deployment.queue.watch(&delivery).await, Interruption::ClientLeft);
            capture(bench, &delivery, 4).await;
            bench.expect("9.99986").await;
        }
        // Or before.
        () = bench.expect("10") => {}
    }
}
