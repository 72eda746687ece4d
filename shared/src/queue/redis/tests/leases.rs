//! Workers that die, and workers that come too late.

use std::pin::pin;
use std::time::Duration;

use rstest::rstest;
use tokio::time::timeout;

use super::super::super::{Cancellation, Delivery, End, Interruption, Job, LARGE_JOB_BYTES, Queue};
use super::super::{RedisQueue, Timings};
use super::{
    A, LIMITS, all_of, ask, chunk, lasting, new_pool, nothing_to_take, queue_of, submitted, taken, timings, until,
    within,
};
use crate::clock::Clock;

/// Short leases; the renewals leave room for a busy machine.
pub(super) fn short() -> Timings {
    Timings {
        lease: Duration::from_millis(600),
        renew: Duration::from_millis(100),
        tick: Duration::from_millis(50),
        accept: Duration::from_millis(200),
        ..timings()
    }
}

/// As if its process had been killed: nothing is said to anybody.
fn dies(delivery: Delivery) {
    std::mem::forget(delivery);
}

#[tokio::test]
async fn a_job_whose_worker_died_goes_to_another_one() {
    let pool = new_pool().await;
    let api = queue_of(&pool, LIMITS, false, short()).await;
    let (one, other) = (queue_of(&pool, LIMITS, true, short()).await, queue_of(&pool, LIMITS, true, short()).await);
    let (request_id, mut frames) = submitted(&api, A).await;
    dies(taken(&one).await);
    drop(one);
    let again = taken(&other).await;
    assert_eq!((again.job.request_id, again.attempt), (request_id, 2));
    assert!(again.needs_open_hold_check());
    again.send(chunk("a")).await.unwrap();
    other.finish(again, End::Lost).await.unwrap();
    assert_eq!(all_of(&mut frames).await, ["a", "end"]);
    assert_eq!(other.dead_letters(10).await.unwrap(), []);
}

#[tokio::test]
async fn an_answer_that_has_begun_is_not_begun_again() {
    let pool = new_pool().await;
    let api = queue_of(&pool, LIMITS, false, short()).await;
    let (one, other) = (queue_of(&pool, LIMITS, true, short()).await, queue_of(&pool, LIMITS, true, short()).await);
    let (request_id, mut frames) = submitted(&api, A).await;
    let delivery = taken(&one).await;
    delivery.send(chunk("a")).await.unwrap();
    dies(delivery);
    drop(one);
    assert_eq!(all_of(&mut frames).await, ["a", "NoWorker"]);
    nothing_to_take(&other).await;
    assert_eq!(api.cancel(request_id).await, Cancellation::NotFound);
    let letters = api.dead_letters(10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].request_id, letters[0].tenant, letters[0].attempt), (request_id, A, 1));
    assert!(letters[0].reason.contains("a part of the answer"), "{letters:?}");
    assert!(letters[0].at.since(Clock::default().now()).abs() < 60_000, "{letters:?}");
    let kept: String = format!("{:?}", ask::<redis::Value>(&pool, &["XRANGE", &pool.key("dead"), "-", "+"]).await);
    assert!(!kept.contains("messages"), "a dead letter holds no body");
}

#[tokio::test]
async fn a_job_whose_first_text_would_be_late_is_not_tried_again() {
    let pool = new_pool().await;
    let queue = queue_of(&pool, LIMITS, true, short()).await;
    let mut job = lasting(A);
    job.deadlines.first_text = Clock::default().now().plus_ms(300);
    let mut frames = queue.submit(job).await.unwrap();
    dies(taken(&queue).await);
    assert_eq!(all_of(&mut frames).await, ["NoWorker"]);
    assert!(queue.dead_letters(1).await.unwrap()[0].reason.contains("late"));
}

#[tokio::test]
async fn a_job_that_kills_its_workers_is_given_up_after_the_third() {
    let pool = new_pool().await;
    let queue = queue_of(&pool, LIMITS, true, short()).await;
    let (_, mut frames) = submitted(&queue, A).await;
    for attempt in 1..=3 {
        let delivery = taken(&queue).await;
        assert_eq!(delivery.attempt, attempt);
        dies(delivery);
    }
    assert_eq!(all_of(&mut frames).await, ["NoWorker"]);
    nothing_to_take(&queue).await;
    let letter = queue.dead_letters(10).await.unwrap().remove(0);
    assert_eq!((letter.attempt, letter.reason.as_str()), (3, "its workers died three times"));
}

#[tokio::test]
async fn a_lease_that_is_watched_lasts() {
    let pool = new_pool().await;
    let timings = Timings { lease: Duration::from_secs(2), ..short() };
    let (one, other) = (queue_of(&pool, LIMITS, true, timings).await, queue_of(&pool, LIMITS, true, timings).await);
    let (_, mut frames) = submitted(&one, A).await;
    let delivery = taken(&one).await;
    let mut taker = pin!(other.take());
    let watched = async {
        tokio::select! { interruption = one.watch(&delivery) => panic!("{interruption:?}"), _ = &mut taker => panic!("another worker got it") }
    };
    assert!(timeout(timings.lease * 3, watched).await.is_err());
    one.finish(delivery, End::Lost).await.unwrap();
    assert_eq!(all_of(&mut frames).await, ["end"]);
}

#[derive(Debug, PartialEq, Eq)]
enum Late {
    Sends,
    Finishes,
    HandsBack,
    Watches,
    Drops,
}

#[rstest]
#[case(Late::Sends)]
#[case(Late::Finishes)]
#[case(Late::HandsBack)]
#[case(Late::Watches)]
#[case(Late::Drops)]
#[tokio::test]
async fn a_worker_that_lost_its_job_changes_nothing(#[case] late: Late) {
    let pool = new_pool().await;
    let api = queue_of(&pool, LIMITS, false, short()).await;
    let (stale, other) = (queue_of(&pool, LIMITS, true, short()).await, queue_of(&pool, LIMITS, true, short()).await);
    let (request_id, mut frames) = submitted(&api, A).await;
    let lost = taken(&stale).await;
    // Nobody watches it, as if the process were stopped.
    let ours = taken(&other).await;
    assert_eq!((ours.job.request_id, ours.attempt), (request_id, 2));
    let mut watching = Box::pin(other.watch(&ours));
    assert!(timeout(Duration::from_millis(10), &mut watching).await.is_err());
    match late {
        Late::Sends => {
            // The first goes into a channel; when it is refused, the next ones are too.
            until(async || lost.send(chunk("stale")).await.is_err()).await;
            assert_eq!(within(stale.watch(&lost)).await, Interruption::LeaseLost);
            assert_eq!(stale.finish(lost, End::Lost).await, Err(Interruption::LeaseLost));
        }
        Late::Finishes => assert_eq!(stale.finish(lost, End::Lost).await, Err(Interruption::LeaseLost)),
        Late::HandsBack => stale.hand_back(lost).await,
        Late::Watches => assert_eq!(within(stale.watch(&lost)).await, Interruption::LeaseLost),
        Late::Drops => drop(lost),
    }
    assert!(timeout(Duration::from_millis(300), &mut watching).await.is_err(), "ours is still ours");
    drop(watching);
    ours.send(chunk("a")).await.unwrap();
    other.finish(ours, End::Lost).await.unwrap();
    assert_eq!(all_of(&mut frames).await, ["a", "end"]);
    until(async || api.depth().await.running == 0).await;
    assert_eq!(api.depth().await.waiting, 0);
}

#[tokio::test]
async fn a_job_that_cannot_be_read_is_never_called() {
    let pool = new_pool().await;
    let queue = queue_of(&pool, LIMITS, true, short()).await;
    let (request_id, mut frames) = submitted(&queue, A).await;
    let (other, mut others_frames) = submitted(&queue, A).await;
    let body = r#"{"secret":"sk-xy-hunter2","#;
    ask::<String>(&pool, &["SET", &pool.key(format_args!("body:{request_id}")), body]).await;
    let delivery = taken(&queue).await;
    assert_eq!(delivery.job.request_id, other);
    assert_eq!(all_of(&mut frames).await, ["NoWorker"]);
    let letter = queue.dead_letters(10).await.unwrap().remove(0);
    assert_eq!(letter.request_id, request_id);
    assert!(letter.reason.contains("cannot be read") && !letter.reason.contains("hunter2"), "{letter:?}");
    queue.finish(delivery, End::Lost).await.unwrap();
    assert_eq!(all_of(&mut others_frames).await, ["end"]);
    assert_eq!(queue.depth().await.running, 0);
}

#[tokio::test]
async fn a_job_that_was_forgotten_while_it_waited_takes_no_room() {
    let pool = new_pool().await;
    let queue = queue_of(&pool, LIMITS, true, short()).await;
    let (forgotten, _frames) = submitted(&queue, A).await;
    let (other, _frames) = submitted(&queue, A).await;
    ask::<i64>(&pool, &["DEL", &pool.key(format_args!("job:{forgotten}"))]).await;
    until(async || queue.depth().await.waiting == 1).await;
    assert_eq!(taken(&queue).await.job.request_id, other);
}

/// As one that a process of an older version has ended.
#[tokio::test]
async fn a_large_job_that_is_gone_takes_no_room_and_one_that_runs_keeps_its_own() {
    let pool = new_pool().await;
    let often = Timings { tick: Duration::from_millis(50), ..timings() };
    let queue = queue_of(&pool, LIMITS, true, often).await;
    let large = Job { fields: "x".repeat(2 * LARGE_JOB_BYTES), ..lasting(A) };
    let _frames = queue.submit(large).await.unwrap();
    let delivery = taken(&queue).await;
    let key = pool.key("large");
    ask::<i64>(&pool, &["HSET", &key, "1001:0123", "1000000"]).await;
    until(async || ask::<i64>(&pool, &["HLEN", &key]).await == 1).await;
    assert_eq!(ask::<i64>(&pool, &["HEXISTS", &key, "1001:0123"]).await, 0);
    queue.finish(delivery, End::Lost).await.unwrap();
    assert_eq!(ask::<i64>(&pool, &["HLEN", &key]).await, 0);
}

#[tokio::test]
async fn what_nobody_came_for_goes_to_another_worker() {
    let pool = new_pool().await;
    let (one, other) = (queue_of(&pool, LIMITS, true, short()).await, queue_of(&pool, LIMITS, true, short()).await);
    for closes in [false, true] {
        let (request_id, _frames) = submitted_while_waiting(&one).await;
        if closes {
            one.close();
        }
        let delivery = taken(&other).await;
        assert_eq!((delivery.job.request_id, delivery.attempt), (request_id, 1));
        other.finish(delivery, End::Lost).await.unwrap();
    }
}

/// A job that is started for a taker which then never looks at it.
async fn submitted_while_waiting(queue: &RedisQueue) -> (crate::id::RequestId, super::Frames) {
    let mut taker = Box::pin(queue.take());
    assert!(timeout(Duration::from_millis(10), &mut taker).await.is_err());
    let job: Job = lasting(A);
    let request_id = job.request_id;
    let frames = queue.submit(job).await.unwrap();
    until(async || queue.depth().await.running == 1).await;
    (request_id, frames)
}
