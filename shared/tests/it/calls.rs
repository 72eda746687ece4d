//! Who decides an uncertain outcome: calls whose worker dies, is late, is refused, or whose client leaves, at every point.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rstest::rstest;
use shared::admission::request::{Body, Rules};
use shared::admission::{Call, Failure, Step};
use shared::billing::{self, Produced};
use shared::catalogue::channel::{self, ChannelKind, NewChannel};
use shared::config::{Settings, Sources};
use shared::db::DbError;
use shared::deployment::{Deployment, Role, Workbench};
use shared::id::{RequestId, TenantId};
use shared::keyring::Caller;
use shared::ledger::{self, Capture, Ended};
use shared::money::Amount;
use shared::queue::{Chunk, Delivery, End, Endpoint, Interruption, Way};
use shared::refusal::{Reason, Refusal};
use shared::tenant;
use shared::tokens::Tally;
use shared::top_ups::{self, Payment};
use testkit::Pair;

/// A whole deployment on a database of the pair of this run, with a tenant who has 10.00, and no worker but the test itself.
pub(crate) struct Bench {
    pub(crate) deployment: Deployment,
    pub(crate) caller: Caller,
    _folder: tempfile::TempDir,
}

impl Bench {
    pub(crate) async fn new(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut environment = vec![("XIAOYI_DATA_DIR".to_owned(), folder.path().display().to_string())];
        // The queue is inside this process with either database.
        environment.extend(
            Pair::of_this_run().settings(folder.path()).into_iter().filter(|(name, _)| !name.contains("REDIS")),
        );
        environment.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let settings = Settings::load(&Sources { environment, ..Sources::default() }).unwrap();
        let (workbench, _) = Workbench::create(settings).await.unwrap();
        let (sealer, now) = (workbench.sealer.clone(), workbench.clock.now());
        let tenant = workbench
            .database
            .write(move |connection| {
                let echo = NewChannel {
                    name: "echo".to_owned(),
                    kind: ChannelKind::Echo,
                    base_url: "echo:".to_owned(),
                    api_key: None,
                    models: [("gpt-3.5".to_owned(), "echo".to_owned())].into(),
                    priority: 1,
                    weight: 1,
                };
                channel::add(connection, &sealer, &echo, now).unwrap();
                let tenant = tenant::create(connection, "t", now).unwrap().id;
                let amount = "10".parse().unwrap();
                let payment = Payment { amount, reference: "r".to_owned(), note: None };
                top_ups::book(connection, RequestId::new(), tenant, payment, now).unwrap();
                Ok::<_, DbError>(tenant)
            })
            .await
            .unwrap();
        let caller = Caller {
            key: "0123456789AB".parse().unwrap(),
            tenant,
            models: None,
            console: Default::default(),
            limits: Default::default(),
            networks: None,
            blocked_users: None,
        };
        Self { deployment: Deployment::start(workbench, Role::All).await.unwrap(), caller, _folder: folder }
    }

    pub(crate) async fn admit(&self) -> Result<Call, Refusal> {
        let body = br#"{"messages":[{"role":"user","content":"hello world"}],"max_tokens":100,"stream":true}"#;
        let model = "gpt-3.5".to_owned();
        let limits = self.deployment.admission.model(&self.caller, &model).unwrap();
        let request = Body::parse(body).unwrap().call(Endpoint::Chat, Rules::OpenAi, model, &limits).unwrap();
        let admitted = self.deployment.admission.admit(&self.caller, RequestId::new(), request, None).await;
        admitted.map_err(|not_admitted| not_admitted.refusal)
    }

    pub(crate) async fn admit_and_take(&self) -> (Call, Delivery) {
        let call = self.admit().await.unwrap();
        (call, self.deployment.queue.take().await.unwrap())
    }

    /// Posted and held, just now.
    async fn balance(&self) -> (Amount, Amount) {
        let tenant = self.caller.tenant;
        let reading = self.deployment.database.read(move |connection| ledger::balance(connection, tenant));
        let balance = reading.await.unwrap().unwrap();
        (balance.posted, balance.held)
    }

    /// What is held just now.
    pub(crate) async fn held(&self) -> Amount {
        self.balance().await.1
    }

    /// Posted and held, once every background settlement is through.
    pub(crate) async fn settled_balance(&self) -> (Amount, Amount) {
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(20) {
            let balance = self.balance().await;
            if balance.1 == Amount::ZERO {
                return balance;
            }
            tokio::task::yield_now().await;
        }
        panic!("the hold of {} was not released", self.caller.tenant);
    }

    pub(crate) async fn expect(&self, posted: &str) {
        assert_eq!(self.settled_balance().await, (posted.parse().unwrap(), Amount::ZERO));
        let report = ledger::audit(&self.deployment.database, &self.deployment.clock).await.unwrap();
        assert!(report.ok, "{:?}", report.violations);
    }
}

fn text(words: i64) -> Tally {
    Tally { texts: 1, hanzi: words, words: 0, tokens: words }
}

pub(crate) fn chunk(tokens: i64) -> Chunk {
    Chunk { json: Bytes::from_static(b"{}"), generated: text(tokens) }
}

pub(crate) async fn failure(call: &mut Call) -> Failure {
    match call.next().await.unwrap() {
        Step::Failed(failure) => failure,
        other => panic!("not a failure: {other:?}"),
    }
}

pub(crate) fn produced(tokens: i64) -> Produced {
    Produced { completion: text(tokens), ..Produced::default() }
}

fn answered(tokens: i64) -> End {
    End::Answered { held_back: vec![Bytes::from_static(b"{}")], produced: produced(tokens), way: Way::default() }
}

/// What the answer cost that `call` ends with.
async fn answer(call: &mut Call) -> Amount {
    match call.next().await.unwrap() {
        Step::Answered { held_back, charged } => {
            assert_eq!(held_back, [Bytes::from_static(b"{}")]);
            charged
        }
        other => panic!("not an answer: {other:?}"),
    }
}

pub(crate) async fn capture(bench: &Bench, delivery: &Delivery, tokens: i64) -> Amount {
    let charge = billing::charge(&delivery.job, produced(tokens)).unwrap();
    let capture = Capture { request_id: delivery.job.request_id, account: delivery.job.tenant, charge, answer: None };
    bench.deployment.ledger.capture(capture).await.unwrap().unwrap().paid
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_before_any_text_costs_nothing() {
    let bench = Bench::new(&[]).await;
    let (mut call, delivery) = bench.admit_and_take().await;
    drop(delivery);
    let failure = failure(&mut call).await;
    assert_eq!((failure.refusal.reason, failure.charged), (Reason::InternalError, None));
    assert!(call.next().await.is_none());
    bench.expect("10").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_after_text_costs_what_was_passed_on() {
    let bench = Bench::new(&[]).await;
    let (mut call, delivery) = bench.admit_and_take().await;
    delivery.send(chunk(5)).await.unwrap();
    assert!(matches!(call.next().await, Some(Step::Chunk(_))));
    drop(delivery);
    // 2 tokens of prompt at 10 and 5 of completion at 30 a million.
    assert_eq!(failure(&mut call).await.charged, Some("0.00017".parse().unwrap()));
    bench.expect("9.99983").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_whose_answer_was_not_delivered_is_given_back() {
    let bench = Bench::new(&[]).await;
    let (mut call, delivery) = bench.admit_and_take().await;
    capture(&bench, &delivery, 7).await;
    drop(delivery);
    assert_eq!(failure(&mut call).await.charged, None);
    bench.expect("10").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_that_came_first_stands_when_text_was_passed_on() {
    let bench = Bench::new(&[]).await;
    let (mut call, delivery) = bench.admit_and_take().await;
    delivery.send(chunk(5)).await.unwrap();
    assert!(matches!(call.next().await, Some(Step::Chunk(_))));
    let paid = capture(&bench, &delivery, 7).await;
    drop(delivery);
    assert_eq!(failure(&mut call).await.charged, Some(paid));
    bench.expect("9.99977").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_while_its_call_waits_frees_its_hold() {
    let bench = Bench::new(&[]).await;
    drop(bench.admit().await.unwrap());
    bench.expect("10").await;
    assert_eq!(bench.deployment.queue.depth().await.waiting, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_tells_the_worker() {
    let bench = Bench::new(&[]).await;
    let (call, delivery) = bench.admit_and_take().await;
    drop(call);
    assert_eq!(bench.deployment.queue.watch(&delivery).await, Interruption::ClientLeft);
    let end = End::Failed { refusal: Refusal::internal(), produced: None, way: Way::default() };
    let (request_id, account) = (delivery.job.request_id, delivery.job.tenant);
    if bench.deployment.queue.finish(delivery, end).await.is_err() {
        // As the workers do: an end that nobody received leaves the hold to its sender.
        let _ = bench.deployment.ledger.end(request_id, account, Ended::Voided).await.unwrap();
    }
    bench.expect("10").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_was_sent_but_never_read_still_frees_the_hold() {
    let bench = Bench::new(&[]).await;
    let (call, delivery) = bench.admit_and_take().await;
    let end = End::Failed { refusal: Refusal::internal(), produced: None, way: Way::default() };
    bench.deployment.queue.finish(delivery, end).await.unwrap();
    drop(call);
    bench.expect("10").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_told_after_the_void_is_committed() {
    let bench = Bench::new(&[]).await;
    let (mut call, delivery) = bench.admit_and_take().await;
    let refusal = Refusal::new(Reason::UpstreamError, "x");
    bench
        .deployment
        .queue
        .finish(delivery, End::Failed { refusal, produced: None, way: Way::default() })
        .await
        .unwrap();
    assert_eq!(failure(&mut call).await.refusal.reason, Reason::UpstreamError);
    assert_eq!(bench.balance().await.1, Amount::ZERO, "at once, not soon");
}

#[rstest]
#[case::found_by_the_worker(End::Lost)]
#[case::found_by_the_charge(answered(5))]
#[case::found_by_the_charge_for_a_part(End::Failed { refusal: Refusal::internal(), produced: Some(produced(5)), way: Way::default() })]
#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_hold_expired_is_not_charged(#[case] end: End) {
    let bench = Bench::new(&[]).await;
    let (mut call, delivery) = bench.admit_and_take().await;
    bench.deployment.ledger.end(delivery.job.request_id, delivery.job.tenant, Ended::Expired).await.unwrap().unwrap();
    bench.deployment.queue.finish(delivery, end).await.unwrap();
    assert_eq!(failure(&mut call).await.charged, None);
    bench.expect("10").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_seen_after_its_charge_is_committed() {
    let bench = Bench::new(&[]).await;
    let (mut call, delivery) = bench.admit_and_take().await;
    bench.deployment.queue.finish(delivery, answered(5)).await.unwrap();
    assert_eq!(answer(&mut call).await, "0.00017".parse().unwrap());
    assert_eq!(bench.balance().await, ("9.99983".parse().unwrap(), Amount::ZERO), "at once, not soon");
    bench.expect("9.99983").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_its_worker_charged_already_is_charged_once() {
    let bench = Bench::new(&[]).await;
    let (mut call, delivery) = bench.admit_and_take().await;
    // As a worker does that could not know whether its end arrived.
    let paid = capture(&bench, &delivery, 5).await;
    bench.deployment.queue.finish(delivery, answered(5)).await.unwrap();
    assert_eq!(answer(&mut call).await, paid);
    bench.expect("9.99983").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_an_answer_is_charged_before_its_failure_is_told() {
    let bench = Bench::new(&[]).await;
    let (mut call, delivery) = bench.admit_and_take().await;
    let end = End::Failed {
        refusal: Refusal::new(Reason::UpstreamError, "x"),
        produced: Some(produced(5)),
        way: Way::default(),
    };
    bench.deployment.queue.finish(delivery, end).await.unwrap();
    assert_eq!(failure(&mut call).await.charged, Some("0.00017".parse().unwrap()));
    bench.expect("9.99983").await;
}

#[rstest]
#[case::whole(answered(5))]
#[case::a_part(End::Failed { refusal: Refusal::internal(), produced: Some(produced(5)), way: Way::default() })]
#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_was_sent_but_never_read_is_charged(#[case] end: End) {
    let bench = Bench::new(&[]).await;
    let (call, delivery) = bench.admit_and_take().await;
    bench.deployment.queue.finish(delivery, end).await.unwrap();
    drop(call);
    bench.expect("9.99983").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_while_its_end_is_settled_is_charged_once() {
    let bench = Bench::new(&[]).await;
    let calls = 40;
    for nth in 0..calls {
        let (mut call, delivery) = bench.admit_and_take().await;
        bench.deployment.queue.finish(delivery, answered(5)).await.unwrap();
        let _ = tokio::time::timeout(Duration::from_micros(nth * 25), call.next()).await;
    }
    let paid = Amount::from_nanos(170_000 * i64::try_from(calls).unwrap());
    bench.expect(&"10".parse::<Amount>().unwrap().checked_sub(paid).unwrap().to_string()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_after_text_whose_worker_is_dead_pays_for_the_text() {
    let bench = Bench::new(&[]).await;
    let (mut call, delivery) = bench.admit_and_take().await;
    delivery.send(chunk(5)).await.unwrap();
    assert!(matches!(call.next().await, Some(Step::Chunk(_))));
    drop(delivery);
    drop(call);
    bench.expect("9.99983").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_no_worker_takes_ends_at_the_first_deadline() {
    let bench = Bench::new(&[("XIAOYI_DEADLINE_FIRST_TEXT_S", "1")]).await;
    let mut call = bench.admit().await.unwrap();
    let failure = failure(&mut call).await;
    assert_eq!((failure.refusal.reason, failure.charged), (Reason::Timeout, None));
    bench.expect("10").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_full_refuses_and_holds_nothing() {
    let bench = Bench::new(&[("XIAOYI_QUEUE_TENANT_SHARE", "1")]).await;
    let waiting = bench.admit().await.unwrap();
    let refused = bench.admit().await.unwrap_err();
    assert_eq!((refused.reason, refused.retry_after_s), (Reason::RateLimitExceeded, Some(1)));
    drop(waiting);
    bench.expect("10").await;

    let bench = Bench::new(&[("XIAOYI_QUEUE_CAPACITY", "1")]).await;
    let waiting = bench.admit().await.unwrap();
    let refused = bench.admit().await.unwrap_err();
    assert_eq!((refused.reason, refused.retry_after_s.is_some()), (Reason::QueueFull, true));
    drop(waiting);
    bench.expect("10").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admission_that_is_dropped_at_any_point_holds_nothing() {
    let bench = Bench::new(&[]).await;
    for microseconds in (0..3_000).step_by(50) {
        let _ = tokio::time::timeout(Duration::from_micros(microseconds), bench.admit()).await;
    }
    bench.expect("10").await;
    assert_eq!(bench.deployment.queue.depth().await.waiting, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balance_that_is_too_low_says_by_how_much() {
    let bench = Bench::new(&[]).await;
    let mut poor = bench.caller.clone();
    poor.tenant = bench
        .deployment
        .database
        .write(|connection| {
            Ok::<TenantId, DbError>(tenant::create(connection, "poor", shared::clock::Timestamp(0)).unwrap().id)
        })
        .await
        .unwrap();
    let poor = Bench { caller: poor, ..bench };
    let refused = poor.admit().await.unwrap_err();
    assert_eq!(refused.reason, Reason::InsufficientQuota);
    assert!(refused.message.contains("it needs 0.00302 CNY, 0.00 CNY are available"), "{}", refused.message);
}
