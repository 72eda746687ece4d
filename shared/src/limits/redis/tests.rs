use std::time::Instant;

use deadpool_redis::Connection;
use tokio::net::TcpListener;

use super::server::{self, Server};
use super::*;
use crate::clock::Timestamp;
use crate::limits::contract::{Bench, key, limits_contract, limits_of, passed_soon};
use crate::limits::{Obstacle, Places};

const START: Timestamp = Timestamp(1_700_000_000_000);
/// Longer than anything here takes.
const NEVER: Duration = Duration::from_secs(20);
/// Renewals that a test need not wait for. How long a lease lasts is a matter of the clock that the test moves.
const QUICK: LeaseTimes = LeaseTimes {
    first_renewal: Duration::from_millis(5),
    renewal: Duration::from_millis(5),
    retry: Duration::from_millis(5),
    ..LeaseTimes::USUAL
};
/// No renewal while a test runs: what is left by a process that has died.
const DEAD: LeaseTimes = LeaseTimes { first_renewal: Duration::from_secs(3_600), ..LeaseTimes::USUAL };

fn prefix() -> String {
    format!("{}:", key())
}

fn bench_on(server: Arc<Server>, times: LeaseTimes, clock: &Clock) -> Bench {
    let limits = RedisLimits::with(server.pool(), prefix(), Some(clock.clone()), times);
    Bench::keeping(Arc::new(limits), clock.clone(), server)
}

/// Places that outlive every jump of the clock: the contract is about calls whose holder lives.
const LASTING: LeaseTimes = LeaseTimes { first_ms: 1_000_000_000, renewed_ms: 1_000_000_000, ..LeaseTimes::USUAL };

limits_contract!(async || bench_on(server::shared(), LASTING, &Clock::manual(START)));

/// All keys in this Redis, with the milliseconds until they are gone.
async fn keys(connection: &mut Connection) -> Vec<(String, i64)> {
    let names: Vec<String> = redis::cmd("KEYS").arg("*").query_async(connection).await.unwrap();
    let mut keys = Vec::new();
    for name in names {
        let ttl = redis::cmd("PTTL").arg(&name).query_async(connection).await.unwrap();
        keys.push((name, ttl));
    }
    keys.sort();
    keys
}

/// When the only place of this key ends by itself, in milliseconds after the start; `None`: there is none.
async fn place_ends(connection: &mut Connection, name: &str) -> Option<i64> {
    let places: Vec<(String, i64)> =
        redis::cmd("ZRANGE").arg(name).arg(0).arg(-1).arg("WITHSCORES").query_async(connection).await.unwrap();
    assert!(places.len() <= 1, "{places:?}");
    places.first().map(|(_, ends)| ends - START.0)
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !is_so().await {
        assert!(started.elapsed() < NEVER, "never: {what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn redis_has_the_time_and_forgets_by_itself() {
    let server = Server::start();
    let limits = RedisLimits::new(server.pool(), "xiaoyi:");
    let key = key();
    let permit = limits.check(key, &limits_of(2, 1000, 1), 500).await.unwrap();
    let mut connection = server.pool().get().await.unwrap();
    let kept = keys(&mut connection).await;
    let names = [format!("xiaoyi:limits:{{{key}}}:places"), format!("xiaoyi:limits:{{{key}}}:rates")];
    assert_eq!(kept.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), names);
    // Half of each minute was spent.
    assert!((1..=60_000).contains(&kept[0].1) && (1..=30_000).contains(&kept[1].1), "{kept:?}");

    permit.release().await;
    let allowances = limits.check(key, &limits_of(2, 1000, 1), 100).await.unwrap().allowances();
    assert_eq!(allowances.requests.map(|requests| requests.remaining), Some(0));
    let exceeded = limits.check(key, &limits_of(2, 1000, 1), 100).await.unwrap_err();
    // The clock of this test is the real one, so the last moments have refilled a little.
    assert!(
        matches!(exceeded, LimitError::Exceeded(Exceeded { obstacle: Obstacle::Requests(_), wait_ms: 1..=30_000, .. })),
        "{exceeded:?}"
    );
}

#[tokio::test]
async fn a_place_is_renewed_while_its_call_runs_and_gone_after_it() {
    let (server, clock, key) = (Arc::new(Server::start()), Clock::manual(START), key());
    let mut connection = server.pool().get().await.unwrap();
    let bench = bench_on(Arc::clone(&server), QUICK, &clock);
    let limits = limits_of(0, 0, 1);
    let permit = bench.check(key, &limits, 1).await.unwrap();
    let name = keys(&mut connection).await.remove(0).0;
    for renewed_at in [0, 50_000, 100_000] {
        until("the renewal", async || place_ends(&mut connection, &name).await == Some(renewed_at + 60_000)).await;
        bench.check(key, &limits, 1).await.unwrap_err();
        clock.advance(50_000);
    }
    drop(permit);
    until("the release", async || place_ends(&mut connection, &name).await.is_none()).await;
    assert_eq!(keys(&mut connection).await, [], "an empty set is none");
}

#[tokio::test]
async fn the_places_of_a_process_that_dies_end_by_themselves() {
    let (server, clock, key) = (server::shared(), Clock::manual(START), key());
    let (pool, prefix) = (server.pool(), prefix());
    let limits = limits_of(0, 0, 2);
    let dying = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let with = |times| RedisLimits::with(pool.clone(), prefix.clone(), Some(clock.clone()), times);
    let of_the_dead = {
        let _inside = dying.enter();
        with(DEAD)
    };
    let first = of_the_dead.check(key, &limits, 1).await.unwrap();
    let second = of_the_dead.check(key, &limits, 1).await.unwrap();
    // Nothing of it runs any more, so nothing gives the places back.
    dying.shutdown_background();
    drop((first, second));

    let alive = with(LeaseTimes::USUAL);
    clock.advance(3_999);
    let exceeded = alive.check(key, &limits, 1).await.unwrap_err();
    assert!(matches!(exceeded, LimitError::Exceeded(Exceeded { obstacle: Obstacle::Places(_), .. })), "{exceeded:?}");
    clock.advance(1);
    let allowances = alive.check(key, &limits, 1).await.unwrap().allowances();
    assert_eq!(allowances.places, Some(Places { limit: 2, remaining: 1 }));
}

#[tokio::test]
async fn a_check_that_nobody_waits_for_leaves_no_place() {
    let (server, clock) = (server::shared(), Clock::manual(START));
    let bench = bench_on(server, DEAD, &clock);
    let (key, limits) = (key(), limits_of(0, 0, 1));
    for _ in 0..20 {
        // Polled once, so that the question is on its way.
        let asked = tokio::time::timeout(Duration::ZERO, bench.limits.check(key, &limits, 1)).await;
        drop(asked);
    }
    passed_soon(&bench, key, &limits).await.release().await;
}

#[tokio::test]
async fn a_call_that_runs_has_its_place_again_after_redis_lost_everything() {
    let (server, clock, key) = (Arc::new(Server::start()), Clock::manual(START), key());
    let mut connection = server.pool().get().await.unwrap();
    let bench = bench_on(Arc::clone(&server), QUICK, &clock);
    let limits = limits_of(0, 0, 1);
    let permit = bench.check(key, &limits, 1).await.unwrap();
    redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut connection).await.unwrap();
    redis::cmd("FLUSHALL").exec_async(&mut connection).await.unwrap();
    until("the place", async || !keys(&mut connection).await.is_empty()).await;
    bench.check(key, &limits, 1).await.unwrap_err();
    permit.release().await;
    bench.check(key, &limits, 1).await.unwrap();
}

/// Refused within 2 s, and only who has limits.
async fn refuses_the_limited(limits: &RedisLimits) {
    let started = Instant::now();
    for of_key in [limits_of(1, 0, 0), limits_of(0, 1, 0), limits_of(0, 0, 1)] {
        let asked = limits.check(key(), &of_key, 1);
        assert_eq!(asked.await.unwrap_err(), LimitError::Unavailable);
    }
    assert!(started.elapsed() < Duration::from_secs(6), "{:?} for three", started.elapsed());
    limits.check(key(), &KeyLimits::default(), 1).await.unwrap();
}

#[tokio::test]
async fn a_redis_that_is_not_there_lets_no_limited_key_in() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    refuses_the_limited(&RedisLimits::new(server::pool(&format!("redis://{address}")), prefix())).await;
}

#[tokio::test]
async fn a_redis_that_never_answers_lets_no_limited_key_in() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", silent.local_addr().unwrap());
    refuses_the_limited(&RedisLimits::new(server::pool(&url), prefix())).await;
}

#[tokio::test]
async fn a_redis_that_comes_back_is_asked_again() {
    let server = Server::start();
    let limits = RedisLimits::new(server.pool(), prefix());
    let (key, of_key) = (key(), limits_of(5, 0, 0));
    limits.check(key, &of_key, 1).await.unwrap();
    let mut connection = server.pool().get().await.unwrap();
    let others = ["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"];
    redis::cmd(others[0]).arg(&others[1..]).exec_async(&mut connection).await.unwrap();
    until("an answer", async || limits.check(key, &of_key, 1).await.is_ok()).await;
}
