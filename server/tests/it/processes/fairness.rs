//! One tenant that floods does not make another one wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::cluster::{Cluster, chat};

/// How long the model takes for a call.
const SERVICE: Duration = Duration::from_millis(200);
/// Jobs that run at once, and that one tenant may have waiting.
const SLOTS: usize = 8;
const SHARE: usize = 8;
/// A hundred times the share.
const FLOOD: usize = 100 * SHARE;
/// Calls of the other tenant, in each part: enough for a p99 that is not simply the slowest.
const CALLS: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "`--nocapture` shows what was measured")]
async fn a_flood_of_one_tenant_makes_another_wait_no_longer_than_one_call() {
    let (slots, share) = ((SLOTS / 2).to_string(), SHARE.to_string());
    let settings = [("XIAOYI_WORKER_CONCURRENCY", slots.as_str()), ("XIAOYI_QUEUE_TENANT_SHARE", &share)];
    let cluster = Cluster::start(1, 2, &settings);
    let echo = format!("echo://local?delay_ms={}", SERVICE.as_millis());
    cluster.channel(&["--type", "echo", "--base-url", &echo], "gpt-4", "").await;
    let (quiet, loud) = (cluster.customer("quiet", "100.00"), cluster.customer("loud", "10000.00"));
    let api = &cluster.apis[0];
    let (url, client) = (api.url("/v1/chat/completions"), reqwest::Client::builder().no_proxy().build().unwrap());

    // One at a time, so that the tenant's own calls never wait for each other. Gives the p99 of what a call took beyond the model's time, and
    // the mean of all that it took.
    let measure = async || {
        let mut waits = Vec::with_capacity(CALLS);
        let all_begun = Instant::now();
        for _ in 0..CALLS {
            let begun = Instant::now();
            let request = client.post(&url).bearer_auth(&quiet.secret).json(&chat("hello", false));
            let reply = request.send().await.unwrap();
            assert_eq!(reply.status(), 200);
            reply.bytes().await.unwrap();
            waits.push(begun.elapsed().saturating_sub(SERVICE));
        }
        let mean = all_begun.elapsed() / u32::try_from(CALLS).unwrap();
        waits.sort();
        (waits[(waits.len() * 99).div_ceil(100) - 1], mean)
    };
    // Where nobody waits for anybody, this is how long a call keeps its slot.
    let (before, service) = measure().await;

    let (is_over, refused, answered) =
        (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let flood = (0..4 * SHARE).map(|_| {
        let (client, url, key) = (client.clone(), url.clone(), loud.secret.clone());
        let (is_over, refused, answered) = (Arc::clone(&is_over), Arc::clone(&refused), Arc::clone(&answered));
        tokio::spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                let request = client.post(&url).bearer_auth(&key).json(&chat("hello", false));
                let reply = request.send().await.unwrap();
                match reply.status().as_u16() {
                    200 => answered.fetch_add(1, Ordering::Relaxed),
                    429 => {
                        assert!(reply.headers().contains_key("retry-after"), "{:?}", reply.headers());
                        // Far sooner than it is told; as fast as it can, it would only measure this machine.
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        refused.fetch_add(1, Ordering::Relaxed)
                    }
                    other => panic!("{other}: {}", reply.text().await.unwrap()),
                };
            }
        })
    });
    let flood: Vec<_> = flood.collect();
    while refused.load(Ordering::Relaxed) < SHARE {
        tokio::task::yield_now().await;
    }
    let (beside, _) = measure().await;
    api.within(Duration::from_secs(60), "the whole flood", async || {
        refused.load(Ordering::Relaxed) + answered.load(Ordering::Relaxed) >= FLOOD
    })
    .await;
    is_over.store(true, Ordering::Relaxed);
    for client in flood {
        client.await.unwrap();
    }
    let (refused, answered) = (refused.load(Ordering::Relaxed), answered.load(Ordering::Relaxed));
    println!(
        "p99 wait {before:?} quiet, {beside:?} beside {refused} refused and {answered} answered calls of {service:?}"
    );
    let bound = (before * 2).max(before + service);
    assert!(beside <= bound, "p99 wait {beside:?} beside the flood, {before:?} without: at most {bound:?}");
    assert!(refused > answered, "{refused} refused, {answered} answered: that was no flood");
}
