//! What a lost Redis, a revoked key and a server that is not there mean for those who call.

use std::time::{Duration, Instant};

use serde_json::json;
use testkit::{Postgres, Redis};

use crate::support::cluster::{Cluster, chat};
use crate::support::{IssuedKey, Place, Server};

const LIMIT: Duration = Duration::from_secs(30);

/// Waits until `api` refuses the key, and gives how long that took.
async fn refused_after(api: &Server, key: &IssuedKey) -> Duration {
    let begun = Instant::now();
    api.within(LIMIT, "the refusal of a revoked key", async || api.get("/v1/balance", key).await.status == 401).await;
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_key_is_refused_by_all() {
    let cluster = Cluster::start(2, 0, &[]);
    let (first, second) = (cluster.customer("first", "1.00"), cluster.customer("second", "1.00"));
    for (key, limit) in [(&first, Duration::from_secs(1)), (&second, Duration::from_secs(5))] {
        for api in &cluster.apis {
            assert_eq!(api.get("/v1/balance", key).await.status, 200, "it is known, and remembered");
        }
        cluster.place.command(&["key", "revoke", &key.id]).ok();
        let (one, other) = tokio::join!(refused_after(&cluster.apis[0], key), refused_after(&cluster.apis[1], key));
        assert!(one.max(other) < limit, "{one:?} and {other:?} after the command's end");
        // The second time without Redis.
        cluster.redis.stop();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_redis_is_lost_running_calls_hear_it_at_once_and_cost_what_they_got() {
    let cluster = Cluster::start(1, 1, &[]);
    // A whole answer takes a minute; a stream brings a piece each second.
    let add = ["channel", "add", "--name", "slow", "--type", "echo", "--base-url", "echo://local?delay_ms=60000"];
    cluster.place.command(&[&add[..], &["--models", "gpt-3.5"]].concat()).ok();
    let echo = ["--type", "echo", "--base-url", "echo://local?delay_ms=100&chunk_delay_ms=1000"];
    cluster.channel(&echo, "gpt-4", "").await;
    let (whole, streamed) = (cluster.customer("whole", "10.00"), cluster.customer("streamed", "10.00"));
    let api = &cluster.apis[0];
    let long = "天地玄黄宇宙洪荒".repeat(10);
    let send = |key: &IssuedKey, body: &serde_json::Value| {
        api.http.post(api.url("/v1/chat/completions")).bearer_auth(&key.secret).json(body).send()
    };
    let mut slow = chat(&long, false);
    slow["model"] = "gpt-3.5".into();
    let waiting = tokio::spawn(send(&whole, &slow));
    let mut stream = send(&streamed, &chat(&long, true)).await.unwrap();
    assert_eq!(stream.status(), 200);
    let first = stream.chunk().await.unwrap().expect("a chunk");
    assert!(String::from_utf8_lossy(&first).contains("data: "));
    let is_running = async || cluster.place.command(&["balance", "--tenant", "whole"]).ok()["held"] != "0.00";
    api.within(LIMIT, "the other call", is_running).await;

    cluster.redis.kill9();
    let lost = Instant::now();
    let reply = waiting.await.unwrap().unwrap();
    let after = lost.elapsed();
    assert_eq!(reply.status(), 503);
    assert!(reply.headers().contains_key("retry-after"), "{:?}", reply.headers());
    let body: serde_json::Value = reply.json().await.unwrap();
    assert_eq!((&body["code"], &body["error"]["code"]), (&json!(50300), &json!("unavailable")), "{body}");
    assert!(after < Duration::from_secs(2), "the waiting call heard it after {after:?}");
    let rest = stream.text().await.unwrap();
    let after = lost.elapsed();
    assert!(after < Duration::from_secs(2), "the stream heard it after {after:?}");
    let error = rest.lines().filter_map(|line| line.strip_prefix("data: ")).find(|event| event.contains("\"error\""));
    let error: serde_json::Value = serde_json::from_str(error.expect("an error frame")).unwrap();
    assert_eq!(error["error"]["code"], "unavailable", "{error}");
    assert!(rest.ends_with("data: [DONE]\n\n"), "{rest}");

    cluster.redis.start_again_empty().unwrap();
    let back = Instant::now();
    let short = |key: &IssuedKey| send(key, &chat("你", false));
    api.within(Duration::from_secs(5), "an answer after the return", async || {
        short(&whole).await.is_ok_and(|reply| reply.status() == 200)
    })
    .await;
    assert!(back.elapsed() < Duration::from_secs(5), "{:?}", back.elapsed());
    let charged = cluster.settled_balance("streamed").await;
    assert_ne!(charged["posted"], "10.00", "what the stream brought is charged");
    let usage = cluster.place.command(&["usage", "--tenant", "whole"]).ok();
    cluster.settled_balance("whole").await;
    let answered: i64 = usage.as_array().map_or(0, |days| days.iter().filter_map(|day| day["requests"].as_i64()).sum());
    assert_eq!(answered, 1, "the call that was told that nothing was charged was not: {usage}");
    cluster.prove();
}

#[test]
fn a_redis_that_does_not_answer_is_named_without_its_password() {
    let postgres = Postgres::start().unwrap();
    let away = "redis://:hidden@127.0.0.1:1/3";
    // One try takes up to 1.5 s.
    let place = Place::with_servers(&postgres.database(), away, &[("XIAOYI_START_WAIT_S", "5")]);
    place.command(&["migrate"]).ok();
    let begun = Instant::now();
    let (status, stdout, stderr) = place.spoken(&["serve", "--role", "worker"]);
    assert_eq!((status, stdout.as_str()), (1, ""), "{stderr}");
    assert!(stderr.lines().last().unwrap().contains("Redis at redis://127.0.0.1:1/3 cannot be reached"), "{stderr}");
    assert_eq!(stderr.lines().count(), 2, "one line when it begins to wait and one at the end: {stderr}");
    assert!(!stderr.contains("hidden"), "{stderr}");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    let doctor = place.command(&["doctor"]);
    assert_eq!(doctor.status, 1);
    assert!(doctor.stdout.contains("redis://127.0.0.1:1/3") && !doctor.stdout.contains("hidden"), "{}", doctor.stdout);
}

#[test]
fn a_server_that_comes_late_is_waited_for() {
    let (postgres, redis) = (Postgres::start().unwrap(), Redis::start().unwrap());
    let place = Place::with_servers(&postgres.database(), &redis.url(), &[]);
    place.command(&["migrate"]).ok();
    postgres.stop();
    redis.stop();
    let starting = std::thread::spawn(move || Server::start_in_unmigrated(place, &["serve", "--role", "worker"]));
    postgres.start_again().unwrap();
    redis.start_again().unwrap();
    assert_eq!(starting.join().unwrap().ready["role"], "worker");
}

#[test]
fn who_has_its_queue_inside_serves_a_database_alone() {
    let (postgres, redis) = (Postgres::start().unwrap(), Redis::start().unwrap());
    let joined = Place::with_servers(&postgres.database(), &redis.url(), &[]);
    let alone = joined.twin(&[("REDIS_URL", "")]);
    let mut server = Server::start_in(joined, &["serve"]);
    let (code, message) = alone.command(&["serve"]).failed(1);
    assert_eq!(code, "already_running");
    assert!(message.contains("REDIS_URL"), "{message}");
    let another = Server::start_in(server.place.twin(&[]), &["serve", "--role", "api"]);
    server.kill9();
    drop(another);
    // The place is free as soon as its holders are gone, however they ended.
    let mut only = Server::start_in(alone, &["serve"]);
    let (code, _) = server.place.command(&["serve", "--role", "worker"]).failed(1);
    assert_eq!(code, "already_running");
    only.terminate();
}
