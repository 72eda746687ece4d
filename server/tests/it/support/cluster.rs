//! Many processes of one service, on a PostgreSQL and a Redis of their own.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Postgres, Redis};

use super::{IssuedKey, Place, Server};

/// Processes that share a database and a queue. What depends on others is dropped before them.
pub(crate) struct Cluster {
    pub(crate) apis: Vec<Server>,
    pub(crate) workers: Vec<Server>,
    /// For commands.
    pub(crate) place: Place,
    pub(crate) redis: Redis,
    _postgres: Postgres,
}

impl Cluster {
    /// So many processes of each role.
    pub(crate) fn start(apis: usize, workers: usize, environment: &[(&str, &str)]) -> Self {
        let (postgres, redis) = (Postgres::start().unwrap(), Redis::start().unwrap());
        let place = Place::with_servers(&postgres.database(), &redis.url(), environment);
        place.command(&["migrate"]).ok();
        let serve = |role| Server::start_in(place.twin(&[]), &["serve", "--role", role]);
        let apis = (0..apis).map(|_| serve("api")).collect();
        let workers = (0..workers).map(|_| serve("worker")).collect();
        Self { apis, workers, place, redis, _postgres: postgres }
    }

    /// A channel, once every API knows it.
    pub(crate) async fn channel(&self, options: &[&str], models: &str, input: &str) {
        let add = [&["channel", "add", "--name", "c", "--models", models][..], options].concat();
        self.place.command_with(&add, &[], input).ok();
        let watcher = self.customer("watcher", "1.00");
        let model = models.split([',', '=']).next().unwrap();
        for api in &self.apis {
            api.within(Duration::from_secs(30), "the new channel", async || {
                let reply = api.chat(&watcher, model, "hello").await;
                reply.status != 404 && reply.json["code"] != 50300
            })
            .await;
        }
    }

    /// A tenant with a balance and a key that sees all of it.
    pub(crate) fn customer(&self, name: &str, balance: &str) -> IssuedKey {
        self.place.command(&["tenant", "create", name]).ok();
        self.place.command(&["topup", "--tenant", name, "--amount", balance, "--reference", "first"]).ok();
        let issued = self.place.command(&["key", "issue", "--tenant", name, "--console", "tenant"]).ok();
        let text = |field: &str| issued[field].as_str().unwrap().to_owned();
        IssuedKey { id: text("id"), secret: text("secret") }
    }

    /// The balance of a tenant once nothing of it is held.
    pub(crate) async fn settled_balance(&self, tenant: &str) -> Value {
        let balance = || self.place.command(&["balance", "--tenant", tenant]).ok();
        let is_settled = async || balance()["held"] == "0.00";
        self.apis[0].within(Duration::from_secs(60), "the end of all holds", is_settled).await;
        balance()
    }

    /// That the ledger is right.
    pub(crate) fn prove(&self) {
        assert_eq!(self.place.command(&["ledger", "audit"]).ok()["ok"], true);
    }
}

/// A chat of one message.
pub(crate) fn chat(content: &str, is_streamed: bool) -> Value {
    let mut body = json!({"model": "gpt-4", "messages": [{"role": "user", "content": content}]});
    if is_streamed {
        body["stream"] = true.into();
        body["stream_options"] = json!({"include_usage": true});
    }
    body
}
