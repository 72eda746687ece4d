//! Clients, provider and ledger agree to the last unit.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use testkit::{Provider, ProviderSettings};

use crate::support::books::Books;
use crate::support::cluster::{Cluster, chat};
use crate::support::money::nanos;

const REQUESTS: usize = 5_000;
const TENANTS: usize = 25;
const CLIENTS: usize = 24;
/// 10.00 and 30.00 per million tokens, in 1e-9.
const PROMPT: i64 = 10_000;
const COMPLETION: i64 = 30_000;

/// What a client knows of its call.
struct Seen {
    tenant: usize,
    request_id: String,
    marker: String,
    hanzi: i64,
    cost: i64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_apis_and_three_workers_agree_with_clients_and_provider() {
    let provider = Provider::start(ProviderSettings::default()).unwrap();
    let cluster = Cluster::start(2, 3, &[]);
    let url = format!("{}/v1", provider.url());
    cluster
        .channel(&["--type", "openai", "--base-url", &url, "--api-key-stdin"], "gpt-4=upstream", "sk-provider")
        .await;
    let keys: Vec<String> =
        (0..TENANTS).map(|number| cluster.customer(&format!("tenant-{number}"), "100.00").secret).collect();
    let bases: Vec<String> = cluster.apis.iter().map(|api| api.url("")).collect();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only(Vec::new()).build().unwrap();
    let (keys, next) = (Arc::new(keys), Arc::new(AtomicUsize::new(0)));
    let calling = (0..CLIENTS).map(|_| {
        let (keys, bases, client, next) = (Arc::clone(&keys), bases.clone(), client.clone(), Arc::clone(&next));
        tokio::spawn(async move {
            let mut seen = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= REQUESTS {
                    return seen;
                }
                let (tenant, base) = (number % TENANTS, &bases[number % bases.len()]);
                seen.push(call(&client, base, &keys[tenant], tenant, number).await);
            }
        })
    });
    let mut all = Vec::with_capacity(REQUESTS);
    for client in calling.collect::<Vec<_>>() {
        all.extend(client.await.unwrap());
    }
    assert_eq!(all.len(), REQUESTS);

    let records = provider.records();
    for seen in &all {
        let record = &records[&seen.marker];
        assert_eq!(record.calls.len(), 1, "{}: the provider was called once", seen.marker);
        assert_eq!(i64::from(record.calls[0].hanzi), seen.hanzi, "{}: all that was generated arrived", seen.marker);
    }
    for (tenant, key) in keys.iter().enumerate() {
        let balance = cluster.settled_balance(&format!("tenant-{tenant}")).await;
        let books = Books::read(&client, &bases[tenant % 2], key).await;
        let own: HashMap<&str, i64> =
            all.iter().filter(|seen| seen.tenant == tenant).map(|seen| (seen.request_id.as_str(), seen.cost)).collect();
        let charged = books.by_request();
        assert_eq!(charged.len(), own.len());
        for (request_id, charged) in charged {
            assert_eq!((charged.times, charged.net), (1, own[request_id]), "{request_id}");
        }
        let spent: i64 = own.values().sum();
        assert_eq!(nanos(&balance["posted"]), 100_000_000_000 - spent);
    }
    cluster.prove();
}

async fn call(client: &reqwest::Client, base: &str, key: &str, tenant: usize, number: usize) -> Seen {
    let marker = format!("mark-{number}");
    let (chunks, hanzi) = (1 + number % 7, 1 + number % 5);
    let body = chat(&format!("{marker} chunks={chunks} hanzi={hanzi}"), number.is_multiple_of(2));
    let request = client.post(format!("{base}/v1/chat/completions")).bearer_auth(key).json(&body);
    let response = request.send().await.unwrap();
    let status = response.status();
    let request_id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let text = response.text().await.unwrap();
    assert_eq!(status, 200, "{text}");
    let usage = if number.is_multiple_of(2) {
        assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
        let events = text.lines().filter_map(|line| line.strip_prefix("data: "));
        let usages = events.filter_map(|event| serde_json::from_str::<Value>(event).ok());
        usages.map(|event| event["usage"].clone()).find(|usage| !usage.is_null()).expect("a usage")
    } else {
        serde_json::from_str::<Value>(&text).unwrap()["usage"].clone()
    };
    let tokens = |name: &str| usage[name].as_i64().unwrap();
    let hanzi = i64::try_from(chunks * hanzi).unwrap();
    assert_eq!(tokens("completion_tokens"), hanzi);
    let cost = tokens("prompt_tokens") * PROMPT + hanzi * COMPLETION;
    Seen { tenant, request_id, marker, hanzi, cost }
}
