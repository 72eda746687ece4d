//! Calls with an Idempotency-Key that reach several processes, also while those die: one charge, and one answer.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use rstest::rstest;
use testkit::{Provider, ProviderSettings};

use crate::support::IssuedKey;
use crate::support::books::Books;
use crate::support::cluster::{Cluster, chat};
use crate::support::provider::eventually;
use crate::support::reseller::{Reply, client, read};

/// How long a test waits for something that must come: what a dead process held is free after 10 seconds of its silence.
const PATIENCE: Duration = Duration::from_secs(90);
/// Each answer takes half a second, so that a kill meets it.
const SETTINGS: ProviderSettings =
    ProviderSettings { first_text: Duration::from_millis(100), pause: Duration::from_millis(60), chunks: 8, hanzi: 4 };

/// Who dies in the middle of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Api,
    Worker,
    Both,
}

struct Scene {
    cluster: Cluster,
    provider: Provider,
    client: reqwest::Client,
    key: IssuedKey,
}

impl Scene {
    async fn open() -> Self {
        let provider = Provider::start(SETTINGS).unwrap();
        let cluster = Cluster::start(2, 1, &[("XIAOYI_LEDGER_OWNER_SILENCE_S", "10"), ("XIAOYI_LEDGER_SWEEP_S", "1")]);
        let url = format!("{}/v1", provider.url());
        let options = ["--type", "openai", "--base-url", &url, "--api-key-stdin"];
        cluster.channel(&options, "gpt-4=upstream", "sk-provider").await;
        let key = cluster.customer("acme", "1000.00");
        Self { cluster, provider, client: client(), key }
    }

    fn request(&self, api: usize, key: &str, is_streamed: bool) -> reqwest::RequestBuilder {
        let url = self.cluster.apis[api].url("/v1/chat/completions");
        let request = self.client.post(url).bearer_auth(&self.key.secret).header("Idempotency-Key", key);
        request.json(&chat(&format!("mark-{key}"), is_streamed))
    }

    /// Asks this API again until there is an answer: it may be told that the first call runs, or failed.
    async fn ask_until_answered(&self, api: usize, key: &str, is_streamed: bool) -> Reply {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let reply = read(self.request(api, key, is_streamed)).await;
            if reply.status == 200 {
                return reply;
            }
            assert!(matches!(reply.status, 409 | 500 | 503), "{reply:?}");
            assert!(Instant::now() < deadline, "no answer within {PATIENCE:?}: {reply:?}");
        }
    }

    fn calls(&self, key: &str) -> usize {
        self.provider.records().get(&format!("mark-{key}")).map_or(0, |record| record.calls.len())
    }

    async fn books(&self, api: usize) -> Books {
        self.cluster.settled_balance("acme").await;
        Books::read(&self.client, &self.cluster.apis[api].url(""), &self.key.secret).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_at_two_apis_are_one_call() {
    let scene = Scene::open().await;
    for (key, is_streamed) in [("whole", false), ("streamed", true)] {
        let all = (0..20).map(|number| scene.ask_until_answered(number % 2, key, is_streamed));
        let replies = futures_util::future::join_all(all).await;
        let different: HashSet<_> = replies.iter().map(|reply| (&reply.body, reply.request_id())).collect();
        assert_eq!(different.len(), 1, "{different:?}");
        assert_eq!(scene.calls(key), 1);
    }
    let books = scene.books(0).await;
    assert_eq!(books.by_request().len(), 2);
    scene.cluster.prove();
}

#[rstest]
#[case::the_api(Victim::Api)]
#[case::the_worker(Victim::Worker)]
#[case::both(Victim::Both)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_dies_in_between_there_is_one_charge(#[case] victim: Victim) {
    let mut scene = Scene::open().await;
    let keys = [("whole", false), ("streamed", true)];
    let whole = tokio::spawn(scene.request(0, "whole", false).send());
    let streamed = tokio::spawn(scene.request(0, "streamed", true).send());
    // Its first text has reached the client.
    let mut streamed = streamed.await.unwrap().unwrap();
    streamed.chunk().await.unwrap().expect("the first text");
    eventually("the calls to arrive", || keys.iter().all(|(key, _)| scene.calls(key) > 0).then_some(())).await;
    scene.kill(victim);
    while let Ok(Some(_)) = streamed.chunk().await {}
    // A broken connection, or an error.
    let _ = whole.await.unwrap();

    let mut answered = Vec::new();
    for (key, is_streamed) in keys {
        // The other API knows of it, as does the one that comes back.
        let reply = scene.ask_until_answered(1, key, is_streamed).await;
        let again = scene.ask_until_answered(0, key, is_streamed).await;
        assert_eq!((&again.body, again.request_id()), (&reply.body, reply.request_id()), "{key}");
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        assert!(scene.calls(key) <= 2, "{key}: {} calls", scene.calls(key));
        answered.push(reply);
    }
    let books = scene.books(1).await;
    let charged = books.by_request();
    assert_eq!(charged.len(), keys.len(), "one charge for each key: {charged:?}");
    for reply in answered {
        let charge = charged[reply.request_id()];
        assert!(charge.times == 1 && charge.net > 0, "{charge:?}");
    }
    scene.cluster.prove();
}

impl Scene {
    /// Kills who runs the call, and starts it again.
    fn kill(&mut self, victim: Victim) {
        if victim != Victim::Worker {
            self.cluster.apis[0].kill9();
        }
        if victim != Victim::Api {
            self.cluster.workers[0].kill9();
            self.cluster.workers[0].restart();
        }
        if victim != Victim::Worker {
            self.cluster.apis[0].restart();
        }
    }
}
