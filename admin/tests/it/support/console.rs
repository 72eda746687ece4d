//! The console of a scene, on a port of its own, a worker that answers in a moment, and developers with their keys.

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::rt::time::{sleep, timeout};
use actix_web::{App, HttpServer};
use serde_json::{Value, json};
use shared::admission::Step;
use shared::admission::request::{Body, Rules};
use shared::billing::Produced;
use shared::catalogue::channel::ChannelKind;
use shared::clock::Clock;
use shared::deployment::Deployment;
use shared::id::{RequestId, TenantId};
use shared::key::{self, KeyError, KeyPolicy};
use shared::queue::{Delivery, End, Endpoint, Way};
use shared::refusal::{Reason, Refusal};
use shared::secret_key::KeyId;
use shared::tokens::Tally;

use super::{Browser, Scene};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// A prompt that the worker does not answer.
pub(crate) const FAIL: &str = "fail";
/// Where browsers of the console are.
pub(crate) const HOME: &str = "203.0.113.9";

/// A key as it was issued.
#[derive(Debug, Clone)]
pub(crate) struct Issued {
    pub(crate) id: KeyId,
    pub(crate) secret: String,
}

/// The console. It answers until it is dropped.
pub(crate) struct Console {
    pub(crate) scene: Scene,
    pub(crate) address: SocketAddr,
    servers: Vec<ServerHandle>,
}

impl Console {
    /// That of a new scene.
    pub(crate) async fn new() -> Self {
        Self::at(Clock::System).await
    }

    /// The same whose channel serves these models.
    pub(crate) async fn serving(models: &[&str]) -> Self {
        Self::with(Clock::System, models).await
    }

    /// The same at a moment that the test moves on.
    pub(crate) async fn at(clock: Clock) -> Self {
        Self::with(clock, &["gpt-3.5", "gpt-4", "text-embedding-3-small"]).await
    }

    async fn with(clock: Clock, models: &[&str]) -> Self {
        let scene = Scene::with(clock, &[("XIAOYI_TRUSTED_PROXIES", "127.0.0.1")]).await;
        scene.channel("echo", ChannelKind::Echo, models).await;
        let deployment = scene.deployment.clone();
        deployment.catalogue.reload(&deployment.database).await.unwrap();
        actix_web::rt::spawn(work(deployment));
        let (address, server) = serve(&scene);
        Self { scene, address, servers: vec![server] }
    }

    /// The address of another console, as of another process or after a restart: the two share the database and no memory of their own.
    pub(crate) fn another(&mut self) -> SocketAddr {
        let (address, server) = serve(&self.scene);
        self.servers.push(server);
        address
    }

    /// Somebody without a session.
    pub(crate) fn browser(&self) -> Browser {
        let mut browser = Browser::new(self.address);
        browser.forwarded_for = Some(HOME.to_owned());
        browser
    }

    /// Somebody with a session of this key.
    pub(crate) async fn signed_in(&self, key: &Issued) -> Browser {
        let mut browser = self.browser();
        browser.post("/console/sign-in", &[("secret_key", &key.secret)]).await.leads_to("/console");
        browser
    }

    /// The same after a test has moved the clock: until the service has looked at the database again, it trusts no key.
    pub(crate) async fn signed_in_later(&self, key: &Issued) -> Browser {
        let keyring = &self.scene.deployment.keyring;
        self.within("keys are trusted again", async || keyring.verify(&key.secret).await.is_ok()).await;
        self.signed_in(key).await
    }

    /// A tenant with 10.00.
    pub(crate) async fn tenant(&self, name: &'static str) -> TenantId {
        let tenant = self.scene.customer(name).await;
        self.scene.pays(tenant, "10.00", "first").await;
        tenant
    }

    /// A key.
    pub(crate) async fn issue(&self, tenant: TenantId, policy: KeyPolicy) -> Issued {
        let (sealer, now) = (Arc::clone(&self.scene.workbench.sealer), self.scene.workbench.clock.now());
        let issued = self.scene.write(move |connection| {
            let id = KeyId::generate().unwrap();
            let (plain, secret) = key::new_secret(connection, &sealer, id).unwrap();
            key::issue(connection, tenant, policy, &secret, now)?;
            Ok::<_, KeyError>(Issued { id, secret: plain.expose().to_owned() })
        });
        issued.await.unwrap()
    }

    /// Revokes a key.
    pub(crate) async fn revoke(&self, key: KeyId) {
        let now = self.scene.workbench.clock.now();
        self.scene.write(move |connection| key::revoke(connection, key.as_str(), now)).await.unwrap();
    }

    /// Makes a call with a key; its details are kept by then. The answer is its text.
    pub(crate) async fn call(&self, key: &Issued, text: &str, end_user: Option<&str>) -> RequestId {
        let caller = self.scene.deployment.keyring.verify(&key.secret).await.unwrap();
        let mut body = json!({"messages": [{"role": "user", "content": text}], "max_tokens": 64});
        if let Some(end_user) = end_user {
            body["user"] = end_user.into();
        }
        let (body, model) = (body.to_string(), "gpt-3.5".to_owned());
        let admission = &self.scene.deployment.admission;
        let limits = admission.model(&caller, &model).unwrap();
        let wanted = Body::parse(body.as_bytes()).unwrap();
        let wanted = wanted.call(Endpoint::Chat, Rules::OpenAi, model, &limits).unwrap();
        let request_id = RequestId::new();
        let mut call = admission.admit(&caller, request_id, wanted, None).await.unwrap();
        while let Some(step) = call.next().await {
            assert_eq!(matches!(step, Step::Failed(_)), text == FAIL, "{step:?}");
        }
        self.scene.deployment.calls.flush().await;
        request_id
    }

    /// Asks again and again, until it is so.
    pub(crate) async fn within<F: Future<Output = bool>>(&self, what: &str, mut is_so: impl FnMut() -> F) {
        let until = async {
            while !is_so().await {
                sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(timeout(PATIENCE, until).await.is_ok(), "{what}: not within {PATIENCE:?}");
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        // What it still does is of no interest to anyone.
        for server in &self.servers {
            drop(server.stop(false));
        }
    }
}

fn serve(scene: &Scene) -> (SocketAddr, ServerHandle) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let console = admin::console(&scene.deployment, &scene.workbench, format!("http://{address}"));
    let server = HttpServer::new(move || App::new().configure(console.clone()))
        .workers(1)
        .disable_signals()
        .listen(listener)
        .unwrap()
        .run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    (address, handle)
}

/// Answers every call with its own words, but [`FAIL`].
async fn work(deployment: Deployment) {
    while let Some(delivery) = deployment.queue.take().await {
        let end = answer(&delivery);
        // Whoever asked may have left.
        let _ = deployment.queue.finish(delivery, end).await;
    }
}

fn answer(delivery: &Delivery) -> End {
    let fields: Value = serde_json::from_str(&format!("{{{}}}", delivery.job.fields)).unwrap();
    let text = fields["messages"][0]["content"].as_str().unwrap();
    let way = Way { queued_ms: Some(0), ..Way::default() };
    if text == FAIL {
        let refusal = Refusal::new(Reason::UpstreamError, "no channel could answer; nothing was charged");
        return End::Failed { refusal, produced: None, way };
    }
    let mut completion = Tally::default();
    completion.add_text(text);
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"});
    let reply = json!({"object": "chat.completion", "choices": [choice]}).to_string();
    End::Answered { held_back: vec![reply.into()], produced: Produced { completion, ..Produced::default() }, way }
}
