//! Answers of all sizes, and what is left of them: nothing.

use bytes::Bytes;

use super::super::super::{End, Frame, Interruption, Queue, QueueLimits, Way};
use super::leases::short;
use super::{A, B, LIMITS, all_of, ask, chunk, lasting, new_pool, queue_of, submitted, taken, timings, until, within};
use crate::billing::Produced;

#[tokio::test]
async fn a_whole_answer_of_64_mib_arrives() {
    let pool = new_pool().await;
    let api = queue_of(&pool, LIMITS, false, timings()).await;
    let worker = queue_of(&pool, LIMITS, true, timings()).await;
    let (_, mut frames) = submitted(&api, A).await;
    let delivery = taken(&worker).await;
    let whole = Bytes::from_iter((0..64 * 1024 * 1024_u32).map(|byte| (byte % 251) as u8));
    let produced = Produced { images: 3, ..Produced::default() };
    let end = End::Answered { held_back: vec![whole.clone()], produced, way: Way::default() };
    worker.finish(delivery, end).await.unwrap();
    match within(frames.next()).await {
        Ok(Frame::End(End::Answered { held_back, produced: told, .. })) => {
            assert!(held_back == [whole], "it is the same");
            assert_eq!(told, produced);
        }
        other => panic!("{:?}", other.map(|_| "another frame")),
    }
    let answers = pool.key(format_args!("replies:{}", api.shared.routes.stream().unwrap()));
    until(async || ask::<usize>(&pool, &["XLEN", &answers]).await == 0).await;
}

#[tokio::test]
async fn chunks_that_come_quickly_travel_together_and_in_order() {
    let pool = new_pool().await;
    let queue = queue_of(&pool, QueueLimits { frames: 64, ..LIMITS }, true, timings()).await;
    let (_, mut frames) = submitted(&queue, A).await;
    let delivery = taken(&queue).await;
    let numbers: Vec<String> = (0..500).map(|number| number.to_string()).collect();
    let sending = async {
        for number in &numbers {
            delivery.send(chunk(number)).await.unwrap();
        }
        queue.finish(delivery, End::Lost).await.unwrap();
    };
    let (_, mut all) = tokio::join!(sending, all_of(&mut frames));
    assert_eq!(all.pop().as_deref(), Some("end"));
    assert_eq!(all, numbers);
    let answers = pool.key(format_args!("replies:{}", queue.shared.routes.stream().unwrap()));
    let info: std::collections::HashMap<String, redis::Value> = ask(&pool, &["XINFO", "STREAM", &answers]).await;
    let Some(redis::Value::Int(entries)) = info.get("entries-added") else { panic!("{info:?}") };
    assert!(*entries < 400, "{entries} entries for 500 chunks");
}

#[tokio::test]
async fn a_client_that_does_not_read_keeps_no_more_than_its_buffer() {
    let pool = new_pool().await;
    let queue = queue_of(&pool, QueueLimits { frames: 4, slow_client_ms: 300, ..LIMITS }, true, timings()).await;
    let (_, mut frames) = submitted(&queue, A).await;
    let delivery = taken(&queue).await;
    let mut sent = 0;
    while within(delivery.send(chunk("x"))).await.is_ok() {
        sent += 1;
    }
    assert!(sent <= 4 + 4 + 4 + 1, "its buffer, what travels together and what is under way: {sent}");
    assert_eq!(queue.finish(delivery, End::Lost).await, Err(Interruption::ClientLeft));
    assert_eq!(all_of(&mut frames).await, ["x", "x", "x", "x", "NoWorker"]);
}

#[tokio::test]
async fn nothing_is_left_when_all_is_done() {
    let pool = new_pool().await;
    let api = queue_of(&pool, LIMITS, false, timings()).await;
    let worker = queue_of(&pool, LIMITS, true, timings()).await;
    for tenant in [A, A, B] {
        let (_, mut frames) = submitted(&api, tenant).await;
        let delivery = taken(&worker).await;
        delivery.send(chunk("a")).await.unwrap();
        worker.finish(delivery, End::Lost).await.unwrap();
        assert_eq!(all_of(&mut frames).await, ["a", "end"]);
    }
    // Those who leave: from the line, from a worker, and after the end.
    let (waiting, frames) = submitted(&api, A).await;
    api.cancel(waiting).await;
    drop(frames);
    let (_, frames) = submitted(&api, A).await;
    let delivery = taken(&worker).await;
    drop(frames);
    within(worker.watch(&delivery)).await;
    assert_eq!(worker.finish(delivery, End::Lost).await, Err(Interruption::ClientLeft));
    let (_, frames) = submitted(&api, A).await;
    worker.finish(taken(&worker).await, End::Lost).await.unwrap();
    assert!(within(frames.leave()).await.is_some());
    // A large one that was handed back.
    let (_, mut frames) = {
        let job = super::Job { fields: "x".repeat(100_000), ..lasting(B) };
        (job.request_id, api.submit(job).await.unwrap())
    };
    worker.hand_back(taken(&worker).await).await;
    worker.finish(taken(&worker).await, End::Lost).await.unwrap();
    assert_eq!(all_of(&mut frames).await, ["end"]);
    drop(frames);

    assert_eq!(api.shared.routes.len(), 0);
    let streams =
        [&api, &worker].map(|queue| pool.key(format_args!("replies:{}", queue.shared.routes.stream().unwrap())));
    for stream in &streams {
        until(async || ask::<usize>(&pool, &["XLEN", stream]).await == 0).await;
    }
    let mut expected: Vec<String> = ["cleared", "jobs", "number", "slots", "total", "workers"]
        .iter()
        .map(|name| pool.key(name))
        .chain(streams)
        .collect();
    expected.sort();
    let pattern = pool.key("*").replace('{', "\\{");
    until(async || {
        // These come and go.
        let mut keys: Vec<String> = ask(&pool, &["KEYS", &pattern]).await;
        keys.extend(["cleared", "total"].map(|name| pool.key(name)));
        keys.sort();
        keys.dedup();
        keys == expected
    })
    .await;
    assert_eq!(ask::<usize>(&pool, &["XLEN", &pool.key("jobs")]).await, 0);
    for stream in expected.iter().filter(|key| key.contains("replies:")) {
        let left: i64 = ask(&pool, &["PTTL", stream]).await;
        assert!((1..=60_000).contains(&left), "a dead process' answers are forgotten: {left} ms");
    }
}

#[tokio::test]
async fn a_job_is_forgotten_some_time_after_its_deadline() {
    let pool = new_pool().await;
    let api = queue_of(&pool, LIMITS, false, timings()).await;
    let (request_id, _frames) = submitted(&api, A).await;
    let left: i64 = ask(&pool, &["PTTL", &pool.key(format_args!("job:{request_id}"))]).await;
    assert!((600_000..=720_000).contains(&left), "{left} ms");
}

#[tokio::test]
async fn the_end_for_a_process_that_is_silent_is_settled_by_the_worker_too() {
    let pool = new_pool().await;
    let api = queue_of(&pool, LIMITS, false, short()).await;
    let worker = queue_of(&pool, LIMITS, true, short()).await;
    let (_, frames) = submitted(&api, A).await;
    let delivery = taken(&worker).await;
    let answers = pool.key(format_args!("replies:{}", api.shared.routes.stream().unwrap()));
    // As if it were killed: nobody says that it leaves.
    std::mem::forget(frames);
    drop(api);
    let heard_of = short().answers - 3 * short().tick;
    until(async || ask::<i64>(&pool, &["PTTL", &answers]).await < i64::try_from(heard_of.as_millis()).unwrap()).await;
    assert_eq!(worker.finish(delivery, End::Lost).await, Err(Interruption::ClientLeft));
    assert_eq!(ask::<usize>(&pool, &["XLEN", &answers]).await, 1, "it gets it, should it only have stood still");
}
