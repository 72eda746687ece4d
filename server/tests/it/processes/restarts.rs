//! Processes that are stopped and started in turn under load lose nothing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use testkit::{Provider, ProviderSettings};

use crate::support::Server;
use crate::support::books::Books;
use crate::support::cluster::{Cluster, chat};

const CLIENTS: usize = 12;

/// What became of the calls of one client: the requests that were answered, and the markers of all that were not.
#[derive(Default)]
struct Told {
    answered: Vec<String>,
    unanswered: Vec<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_under_load_loses_nothing() {
    let settings = ProviderSettings {
        first_text: Duration::from_millis(30),
        pause: Duration::from_millis(10),
        ..ProviderSettings::default()
    };
    let provider = Provider::start(settings).unwrap();
    let mut cluster = Cluster::start(2, 2, &[]);
    let url = format!("{}/v1", provider.url());
    cluster
        .channel(&["--type", "openai", "--base-url", &url, "--api-key-stdin"], "gpt-4=upstream", "sk-provider")
        .await;
    let key = cluster.customer("acme", "1000.00");
    let bases = Arc::new(RwLock::new(cluster.apis.iter().map(|api| Some(api.url(""))).collect::<Vec<_>>()));
    let (is_over, calls) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    // Like a proxy without kept connections: to a process that listens.
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (bases, is_over, calls) = (Arc::clone(&bases), Arc::clone(&is_over), Arc::clone(&calls));
            let (client, key) = (client.clone(), key.secret.clone());
            tokio::spawn(async move {
                let mut told = Told::default();
                for round in 0.. {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    let base = {
                        let bases = bases.read().unwrap();
                        let open: Vec<&String> = bases.iter().flatten().collect();
                        open[(number + round) % open.len()].clone()
                    };
                    let marker = format!("mark-{number}-{round}");
                    let body = chat(&marker, round.is_multiple_of(2));
                    let request = client.post(format!("{base}/v1/chat/completions")).bearer_auth(&key).json(&body);
                    match request.send().await {
                        // The process stopped listening between the choice and the call.
                        Err(error) if error.is_connect() => told.unanswered.push(marker),
                        Err(error) => panic!("{marker}: a connection that was made brought no reply: {error:?}"),
                        Ok(reply) => {
                            let status = reply.status();
                            let id = reply.headers()["x-request-id"].to_str().unwrap().to_owned();
                            let text = reply.text().await.expect("an answer that began also ends");
                            assert_eq!(status, 200, "{text}");
                            assert!(!text.contains("\"error\""), "{text}");
                            told.answered.push(id);
                            calls.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
                told
            })
        })
        .collect();
    let more_calls = async |count: usize| {
        let begun = (Instant::now(), calls.load(Ordering::Relaxed));
        while calls.load(Ordering::Relaxed) < begun.1 + count {
            assert!(begun.0.elapsed() < Duration::from_secs(60), "no answers come");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    for _ in 0..2 {
        for number in 0..cluster.workers.len() {
            more_calls(30).await;
            restart(&mut cluster.workers[number]);
        }
        for number in 0..cluster.apis.len() {
            more_calls(30).await;
            bases.write().unwrap()[number] = None;
            restart(&mut cluster.apis[number]);
            bases.write().unwrap()[number] = Some(cluster.apis[number].url(""));
        }
    }
    more_calls(30).await;
    is_over.store(true, Ordering::Relaxed);
    let mut told = Told::default();
    for client in clients {
        let one = client.await.unwrap();
        told.answered.extend(one.answered);
        told.unanswered.extend(one.unanswered);
    }

    cluster.settled_balance("acme").await;
    let books = Books::read(&client, &cluster.apis[0].url(""), &key.secret).await;
    let charged: HashMap<&str, _> = books.by_request();
    assert!(told.answered.len() > 200, "{} answers prove nothing", told.answered.len());
    assert_eq!(charged.len(), told.answered.len(), "each charge belongs to an answer that came");
    for request_id in &told.answered {
        assert_eq!(charged[request_id.as_str()].times, 1, "{request_id}");
    }
    let records = provider.records();
    for marker in &told.unanswered {
        assert!(!records.contains_key(marker), "{marker}: its connection was refused, but the provider was called");
    }
    let most = records.values().map(|record| record.calls.len()).max();
    assert_eq!(most, Some(1), "nothing was called twice");
    cluster.prove();
}

/// As an operator does it: an order to stop, a wait for the end, a start.
fn restart(server: &mut Server) {
    let begun = Instant::now();
    server.terminate();
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    server.restart();
}
