//! Calls that are asked for again with the same Idempotency-Key: one call of the provider, one charge, and the same answer for everybody.

mod ends;
mod repetitions;

use std::time::{Duration, Instant};

use reqwest::Response;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::provider::{Act, Gate, Provider, Received, answer};
use crate::support::reseller::{Client, Reply, Reseller, read};

/// What the provider answers everything with, in three pieces.
const PIECES: [&str; 3] = ["pong ", "from ", "here"];
const MODEL: &str = "m";
/// How long a test waits for something that must come.
const PATIENCE: Duration = Duration::from_secs(90);

/// A server with one channel to a provider in the test's hands.
struct Scene {
    reseller: Reseller,
    provider: Provider,
}

impl Scene {
    async fn open(settings: &[(&str, &str)]) -> Self {
        let (provider, reseller) = (Provider::start(), Reseller::open(settings));
        reseller.add_channel("one", &provider.url(), &[(MODEL, MODEL)], "0");
        reseller.wait_for_changes().await;
        Self { reseller, provider }
    }

    /// Lets the provider wait in the middle of each answer until the gate is opened: of a stream behind its first text.
    fn gate(&self) -> Gate {
        let gate = Gate::closed();
        let closed = gate.clone();
        self.provider.on(MODEL, move |call| halted(call, &closed));
        gate
    }

    async fn ask(&self, key: &str, body: &Value) -> Reply {
        read(self.reseller.request(Client::OpenAi, "/v1/chat/completions", body.clone()).header("Idempotency-Key", key))
            .await
    }

    /// Asks again for as long as it is told that the first call still runs.
    async fn ask_until_answered(&self, key: &str, body: &Value) -> Reply {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let reply = self.ask(key, body).await;
            if reply.status != 409 {
                return reply;
            }
            assert_in_progress(&reply);
            assert!(Instant::now() < deadline, "the first call did not end within {PATIENCE:?}");
        }
    }

    /// A call that runs: the provider has it.
    async fn begin(&self, key: &str, body: &Value) -> JoinHandle<reqwest::Result<Response>> {
        let request = self.reseller.request(Client::OpenAi, "/v1/chat/completions", body.clone());
        let sending = tokio::spawn(request.header("Idempotency-Key", key).send());
        self.provider.arrival(MODEL).await;
        sending
    }

    /// The provider was called once, and this call is all that was charged.
    async fn assert_paid_once(&self, reply: &Reply) {
        assert_eq!(self.calls(), 1);
        let charged = self.reseller.charged(reply.request_id()).await.unwrap();
        self.reseller.assert_books(charged).await;
    }

    fn calls(&self) -> usize {
        self.provider.received(MODEL).len()
    }
}

fn halted(call: &Received, gate: &Gate) -> Vec<Act> {
    let mut acts = answer(call, &PIECES);
    // Behind the head, the role and the first text, or before a whole reply.
    let at = if call.json()["stream"] == true { 3 } else { 0 };
    acts.insert(at, Act::Wait(gate.clone()));
    acts
}

fn assert_in_progress(reply: &Reply) {
    let error = &reply.json()["error"];
    assert_eq!((reply.status, &reply.json()["code"]), (409, &json!(40900)), "{reply:?}");
    assert_eq!((&error["type"], &error["code"]), (&json!("conflict_error"), &json!("idempotency_in_progress")));
    assert_eq!(reply.header("retry-after"), Some("2"));
}

fn assert_replayed(reply: &Reply, first: &Reply) {
    assert_eq!((reply.status, &reply.body), (first.status, &first.body));
    assert_eq!(reply.request_id(), first.request_id(), "it names the call that was charged");
    assert_eq!(reply.header("content-type"), first.header("content-type"));
    assert_eq!((first.header("idempotent-replayed"), reply.header("idempotent-replayed")), (None, Some("true")));
}
