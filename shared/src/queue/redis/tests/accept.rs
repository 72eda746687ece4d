//! From the line over the stream into a worker's hands, and what may go wrong on the way.

use redis::Value;

use super::super::super::{Cancellation, End, Interruption, Queue, QueueLimits};
use super::super::accept::FIELDS;
use super::super::codec::{Header, Kind};
use super::super::scripts;
use super::leases::short;
use super::{
    A, LIMITS, RedisPool, RequestId, all_of, ask, chunk, new_pool, nothing_to_take, queue_of, submitted, taken,
    timings, until, within,
};

/// Reads all that was handed out, as a worker that then dies.
async fn read_by_a_ghost(pool: &RedisPool) -> Value {
    ask(pool, &["XREADGROUP", "GROUP", "workers", "ghost", "NOACK", "STREAMS", &pool.key("jobs"), ">"]).await
}

async fn token_of(pool: &RedisPool, request_id: RequestId) -> Option<String> {
    ask(pool, &["HGET", &pool.key(format_args!("job:{request_id}")), "owner"]).await
}

#[tokio::test]
async fn what_a_worker_read_and_did_not_accept_comes_again_in_order_and_once() {
    let pool = new_pool().await;
    let api = queue_of(&pool, LIMITS, false, short()).await;
    let worker = queue_of(&pool, LIMITS, true, short()).await;
    // The worker makes the group when it reads for the first time.
    nothing_to_take(&worker).await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(submitted(&api, A).await);
    }
    assert_ne!(read_by_a_ghost(&pool).await, Value::Nil);
    for (request_id, frames) in &mut waiting {
        let delivery = taken(&worker).await;
        assert_eq!((delivery.job.request_id, delivery.attempt), (*request_id, 1));
        assert!(!delivery.needs_open_hold_check(), "nobody has had it");
        delivery.send(chunk("a")).await.unwrap();
        worker.finish(delivery, End::Lost).await.unwrap();
        assert_eq!(all_of(frames).await, ["a", "end"]);
    }
    nothing_to_take(&worker).await;
    assert_eq!(api.dead_letters(10).await.unwrap(), []);
}

#[tokio::test]
async fn what_is_handed_out_anew_has_another_token_and_the_old_entry_is_gone() {
    let pool = new_pool().await;
    let queue = queue_of(&pool, LIMITS, true, short()).await;
    nothing_to_take(&queue).await;
    let (request_id, _frames) = submitted(&queue, A).await;
    let old = token_of(&pool, request_id).await.unwrap();
    read_by_a_ghost(&pool).await;
    until(async || token_of(&pool, request_id).await.is_some_and(|token| token != old)).await;
    assert_eq!(ask::<i64>(&pool, &["XDEL", &pool.key("jobs"), &old]).await, 0, "the ghost comes too late");
    assert_eq!(taken(&queue).await.job.request_id, request_id);
}

#[tokio::test]
async fn calling_off_meets_a_job_in_line_handed_out_or_in_hand() {
    for only_if_it_waits in [false, true] {
        let pool = new_pool().await;
        let queue = queue_of(&pool, QueueLimits { slots: 2, ..LIMITS }, true, timings()).await;
        let (in_hand, mut frames_in_hand) = submitted(&queue, A).await;
        let delivery = taken(&queue).await;
        let (handed_out, mut frames_handed_out) = submitted(&queue, A).await;
        let (in_line, mut frames_in_line) = submitted(&queue, A).await;
        assert!(token_of(&pool, handed_out).await.is_some());
        assert_eq!(token_of(&pool, in_line).await, None);
        if only_if_it_waits {
            assert!(queue.withdraw(in_line).await && queue.withdraw(handed_out).await);
            assert!(!queue.withdraw(in_hand).await);
        } else {
            assert_eq!(queue.cancel(in_line).await, Cancellation::Removed);
            assert_eq!(queue.cancel(handed_out).await, Cancellation::Removed);
            assert_eq!(queue.cancel(in_hand).await, Cancellation::Told);
            assert_eq!(within(queue.watch(&delivery)).await, Interruption::ClientLeft);
        }
        assert_eq!(all_of(&mut frames_in_line).await, ["NoWorker"]);
        assert_eq!(all_of(&mut frames_handed_out).await, ["NoWorker"]);
        nothing_to_take(&queue).await;
        queue.finish(delivery, End::Lost).await.unwrap();
        assert_eq!(all_of(&mut frames_in_hand).await, ["end"]);
        let depth = queue.depth().await;
        assert_eq!((depth.waiting, depth.running), (0, 0));
    }
}

#[tokio::test]
async fn a_place_that_is_given_up_before_it_was_accepted_goes_to_who_waits() {
    let pool = new_pool().await;
    let queue = queue_of(&pool, QueueLimits { slots: 1, ..LIMITS }, true, timings()).await;
    let (first, _frames) = submitted(&queue, A).await;
    let (second, _frames) = submitted(&queue, A).await;
    assert!(queue.withdraw(first).await);
    assert_eq!(taken(&queue).await.job.request_id, second);
}

/// What the script says to a worker that did not hear whether it has accepted a job.
async fn claimed(pool: &RedisPool, request_id: RequestId, token: &str, new: &str) -> Option<String> {
    let claiming = pool.script(&scripts::CLAIM).arg(request_id.to_string()).arg(token).arg(new).arg(&FIELDS[..]);
    let known: Option<(Vec<Option<String>>, String, bool)> = claiming.run().await.unwrap();
    let (fields, body, is_awaited) = known?;
    assert!(is_awaited && body.contains(&request_id.to_string()));
    assert_eq!(fields[6].as_deref(), Some("1"), "another worker may have had it");
    fields[0].clone()
}

#[tokio::test]
async fn who_did_not_hear_whether_it_has_a_job_takes_it_under_a_new_token() {
    for is_accepted in [false, true] {
        let pool = new_pool().await;
        let queue = queue_of(&pool, LIMITS, true, timings()).await;
        let (request_id, mut frames) = submitted(&queue, A).await;
        let token = token_of(&pool, request_id).await.unwrap();
        if is_accepted {
            assert_eq!(ask::<i64>(&pool, &["XDEL", &pool.key("jobs"), &token]).await, 1);
        }
        assert_eq!(claimed(&pool, request_id, &token, "w/1").await.as_deref(), Some("w/1"));
        assert_eq!(claimed(&pool, request_id, &token, "w/1").await.as_deref(), Some("w/1"), "sent again");
        assert_eq!(claimed(&pool, request_id, &token, "v/1").await, None, "another one comes too late");
        nothing_to_take(&queue).await;
        assert_eq!(queue.cancel(request_id).await, Cancellation::Told, "it is in a worker's hands");
        let over = Header::without_run(request_id, Kind::Over).to_text();
        let abandoning = async |token: &str| {
            let abandoning = pool.script(&scripts::ABANDON).arg(request_id.to_string()).arg(token);
            abandoning.arg(&over).arg("").run::<Vec<String>>().await.unwrap()
        };
        assert_eq!(abandoning(&token).await, ["lost"], "the old token counts no more");
        assert_eq!(abandoning("w/1").await, ["done"]);
        assert_eq!(all_of(&mut frames).await, ["NoWorker"]);
    }
}

#[tokio::test]
async fn a_job_that_has_begun_to_answer_is_not_claimed() {
    let pool = new_pool().await;
    let queue = queue_of(&pool, LIMITS, true, timings()).await;
    let (request_id, mut frames) = submitted(&queue, A).await;
    let delivery = taken(&queue).await;
    delivery.send(chunk("a")).await.unwrap();
    assert!(within(frames.next()).await.is_ok());
    let token = token_of(&pool, request_id).await.unwrap();
    assert_eq!(claimed(&pool, request_id, &token, "w/1").await, None);
    queue.finish(delivery, End::Lost).await.unwrap();
    assert_eq!(all_of(&mut frames).await, ["end"]);
}
