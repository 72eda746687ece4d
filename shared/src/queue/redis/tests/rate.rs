//! How fast it is. Run it by hand: `cargo test --release -p shared --lib queue::redis::tests::rate -- --ignored --nocapture`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::super::{End, Queue, QueueLimits};
use super::super::RedisQueue;
use super::{LIMITS, ask, lasting, pool_of, queue_of, server, timings};
use crate::id::TenantId;

/// Round trips of so many callers: how many a second, and how long the middle one took.
async fn measure(api: &Arc<RedisQueue>, callers: i64, lasts: Duration) -> (usize, u128, Duration) {
    let start = Instant::now();
    let callers = (0..callers).map(|caller| {
        let api = Arc::clone(api);
        tokio::spawn(async move {
            let mut took = Vec::new();
            while start.elapsed() < lasts {
                let begun = Instant::now();
                let mut frames = api.submit(lasting(TenantId(1001 + caller % 100))).await.unwrap();
                frames.next().await.unwrap();
                took.push(begun.elapsed());
            }
            took
        })
    });
    let mut took = Vec::new();
    for caller in callers.collect::<Vec<_>>() {
        took.extend(caller.await.unwrap());
    }
    took.sort();
    (took.len(), took.len() as u128 * 1000 / start.elapsed().as_millis(), took[took.len() / 2])
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement, for a release build"]
#[expect(clippy::print_stderr, reason = "its result is for whoever runs it")]
async fn round_trips() {
    let redis = server::Redis::start();
    let limits = QueueLimits { slots: 256, capacity: 10_000, tenant_share: 1000, frames: 64, ..LIMITS };
    let api = queue_of(&pool_of(redis.url(), "rate").await, limits, false, timings()).await;
    let worker = queue_of(&pool_of(redis.url(), "rate").await, limits, true, timings()).await;
    for _ in 0..16 {
        let worker = Arc::clone(&worker);
        tokio::spawn(async move {
            while let Some(delivery) = worker.take().await {
                worker.finish(delivery, End::Lost).await.unwrap();
            }
        });
    }
    let mut all = 0;
    for callers in [4, 32, 256, 4, 32, 256] {
        let (count, rate, median) = measure(&api, callers, Duration::from_secs(3)).await;
        all += count;
        eprintln!("{callers} callers: {rate} round trips a second, p50 {median:?}");
    }
    // What it cost; unlike the rates, this hardly depends on what else the machine has to do.
    let pool = pool_of(redis.url(), "rate").await;
    let said = |info: &str, name: &str| -> f64 {
        info.lines().find_map(|line| line.strip_prefix(name)).map_or(0.0, |value| value.trim().parse().unwrap())
    };
    let cpu: String = ask(&pool, &["INFO", "cpu"]).await;
    let redis_us = (said(&cpu, "used_cpu_sys:") + said(&cpu, "used_cpu_user:")) * 1e6 / all as f64;
    let stats: String = ask(&pool, &["INFO", "commandstats"]).await;
    let calls_of = |line: &str| -> Option<(String, u64)> {
        let (name, calls) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        Some((name.to_owned(), calls.split(',').next()?.parse().ok()?))
    };
    let mut calls: Vec<(String, u64)> = stats.lines().filter_map(calls_of).collect();
    calls.sort_by_key(|(_, calls)| std::cmp::Reverse(*calls));
    let commands = calls.iter().map(|(_, calls)| calls).sum::<u64>() as f64 / all as f64;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let ticks: f64 = stat.split(' ').skip(13).take(2).map(|ticks| ticks.parse::<f64>().unwrap()).sum();
    let ours_us = ticks * 1e4 / all as f64;
    eprintln!(
        "{all} round trips; each: {commands:.1} commands, {redis_us:.1} us of Redis' processor, {ours_us:.1} us of this process'"
    );
    for (name, calls) in calls.iter().take_while(|(_, calls)| *calls > all as u64 / 100) {
        eprintln!("  {name}: {:.2}", *calls as f64 / all as f64);
    }
}
