//! The surface on a port of its own, with a tenant that has money and one that has none.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::{Value, json};
use shared::catalogue::channel::{self, ChannelError, ChannelKind, NewChannel};
use shared::clock::Clock;
use shared::config::{Settings, Sources};
use shared::deployment::{Deployment, Role, Workbench};
use shared::id::{TenantId, TransferId};
use shared::installation;
use shared::key::{self, Console, KeyError, KeyPolicy, NewSecret};
use shared::ledger::{self, Balance, LedgerError, Operation, TopUp, TopUpDecision, TopUpSource};
use shared::money::Amount;
use shared::queue::Job;
use shared::secret_key::{PlainSecretKey, hash};
use shared::tenant::{self, TenantError};
use testkit::Pair;

use crate::client::{PATIENCE, Reply, Request, post};
use crate::worker::{self, Act};

pub(crate) struct TestApp {
    pub(crate) address: SocketAddr,
    pub(crate) deployment: Deployment,
    /// The tenant with 10.00.
    pub(crate) tenant: TenantId,
    /// Its key.
    pub(crate) key: String,
    /// The tenant without money.
    pub(crate) poor: TenantId,
    workbench: Workbench,
    server: ServerHandle,
    _folder: tempfile::TempDir,
}

impl TestApp {
    /// One whose worker answers every call with `script`.
    pub(crate) async fn start(script: impl Fn(&Job) -> Vec<Act> + Send + Sync + 'static) -> Self {
        Self::start_with(&[], script).await
    }

    /// The same with other settings.
    pub(crate) async fn start_with(
        settings: &[(&str, &str)],
        script: impl Fn(&Job) -> Vec<Act> + Send + Sync + 'static,
    ) -> Self {
        let app = Self::new(Clock::System, settings, Role::All).await;
        tokio::spawn(worker::work(app.deployment.clone(), Arc::new(script)));
        app
    }

    /// The same at a moment that the test moves on.
    pub(crate) async fn start_at(clock: Clock, script: impl Fn(&Job) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let app = Self::new(clock, &[], Role::All).await;
        tokio::spawn(worker::work(app.deployment.clone(), Arc::new(script)));
        app
    }

    /// One that admits calls which nobody takes, with other settings.
    pub(crate) async fn without_a_worker(settings: &[(&str, &str)]) -> Self {
        // On Redis a process with slots would be handed jobs, which nobody here accepts.
        let role = if Pair::of_this_run() == Pair::Servers { Role::Api } else { Role::All };
        Self::new(Clock::System, settings, role).await
    }

    async fn new(clock: Clock, settings: &[(&str, &str)], role: Role) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut environment = vec![("XIAOYI_DATA_DIR".to_owned(), folder.path().display().to_string())];
        // Redis and PostgreSQL have clocks of their own, which no test moves.
        let pair = match clock {
            Clock::System => Pair::of_this_run(),
            Clock::Manual(_) => Pair::Embedded,
        };
        environment.extend(pair.settings(folder.path()));
        environment.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let settings = Settings::load(&Sources { environment, ..Sources::default() }).unwrap();
        let (workbench, _) = Workbench::create(settings).await.unwrap();
        let workbench = Workbench { clock, ..workbench };
        let (tenant, poor) = (new_tenant(&workbench, "rich").await, new_tenant(&workbench, "poor").await);
        add_echo(&workbench).await;
        let deployment = Deployment::start(workbench.clone(), role).await.unwrap();
        let top_up = TopUp {
            id: TransferId::new(),
            account: tenant,
            amount: "10.00".parse().unwrap(),
            source: TopUpSource::Cash,
            reference: "first".to_owned(),
            note: None,
        };
        assert!(matches!(deployment.ledger.top_up(top_up).await.unwrap(), TopUpDecision::Posted { .. }));
        let key = issue(&workbench, tenant, KeyPolicy::default()).await;

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let served = deployment.clone();
        let server = HttpServer::new(move || App::new().configure(api::configure(&served, PUBLIC_URL, page)))
            .workers(1)
            .h1_allow_half_closed(false)
            .disable_signals()
            .listen(listener)
            .unwrap()
            .run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { address, deployment, tenant, key, poor, workbench, server: handle, _folder: folder }
    }

    /// A new key.
    pub(crate) async fn key(&self, tenant: TenantId, policy: KeyPolicy) -> String {
        issue(&self.workbench, tenant, policy).await
    }

    pub(crate) async fn tenant_key(&self) -> String {
        self.key(self.tenant, KeyPolicy { console: Console::Tenant, ..KeyPolicy::default() }).await
    }

    pub(crate) async fn send(&self, request: Request) -> Reply {
        request.send(self.address).await
    }

    /// A chat with a key in a header.
    pub(crate) fn chat(&self) -> Request {
        post("/v1/chat/completions").bearer(&self.key).json(hello())
    }

    /// The same as a stream.
    pub(crate) fn streamed_chat(&self) -> Request {
        let mut body = hello();
        body["stream"] = true.into();
        post("/v1/chat/completions").bearer(&self.key).json(body)
    }

    /// Keeps the tenant's account from everybody else for so long, and calls `begun` once it does.
    pub(crate) async fn keep_account(&self, time: Duration, begun: impl FnOnce() + Send + 'static) {
        let (tenant, now) = (self.tenant, self.workbench.clock.now());
        let kept = self.workbench.database.write(move |connection| {
            let amount = Amount::from_nanos(1);
            let (id, source, reference) = (TransferId::new(), TopUpSource::Cash, "never".to_owned());
            let top_up = TopUp { id, account: tenant, amount, source, reference, note: None };
            ledger::apply_one(connection, Operation::TopUp(top_up), now)?;
            begun();
            std::thread::sleep(time);
            Err::<(), _>(LedgerError::Stopped)
        });
        assert!(matches!(kept.await, Err(LedgerError::Stopped)), "it is rolled back");
    }

    /// The balance once nothing is held any more.
    pub(crate) async fn settled(&self) -> Balance {
        let tenant = self.tenant;
        let until_settled = async {
            loop {
                let balance =
                    self.deployment.database.read(move |connection| ledger::balance(connection, tenant)).await;
                let balance = balance.unwrap().unwrap();
                if balance.held.nanos() == 0 {
                    return balance;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, until_settled).await.expect("a hold was left behind")
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        // What it still does is of no interest to anyone.
        drop(self.server.stop(false));
    }
}

/// The smallest body of a chat: one word, one token.
pub(crate) fn hello() -> Value {
    json!({"messages": [{"role": "user", "content": "hello"}]})
}

/// Where developers are told that the API lies.
pub(crate) const PUBLIC_URL: &str = "https://api.example.com";

/// The id that a page of the host has told its visitor.
pub(crate) const ID_OF_PAGE: &str = "019ac4f0-0000-7000-8000-000000000007";

/// What a host adds beside the API.
fn page(config: &mut web::ServiceConfig) {
    let with_id = async || HttpResponse::Ok().insert_header(("x-request-id", ID_OF_PAGE)).body(ID_OF_PAGE);
    config
        .service(web::resource("/console").get(async || "a page"))
        .service(web::resource("/console/with-id").get(with_id));
}

async fn new_tenant(workbench: &Workbench, name: &'static str) -> TenantId {
    let now = workbench.clock.now();
    let created =
        workbench.database.write(move |connection| Ok::<_, TenantError>(tenant::create(connection, name, now)?.id));
    created.await.unwrap()
}

async fn add_echo(workbench: &Workbench) {
    let models = ["gpt-3.5", "dall-e-3", "text-davinci-003", "text-embedding-3-small", "omni-moderation-latest"];
    let models = models.map(|name| (name.to_owned(), name.to_owned()));
    let new = NewChannel {
        name: "echo".to_owned(),
        kind: ChannelKind::Echo,
        base_url: String::new(),
        api_key: None,
        models: BTreeMap::from(models),
        priority: 0,
        weight: 1,
    };
    let (sealer, now) = (Arc::clone(&workbench.sealer), workbench.clock.now());
    let added = workbench.database.write(move |connection| {
        channel::add(connection, &sealer, &new, now)?;
        Ok::<_, ChannelError>(())
    });
    added.await.unwrap();
}

async fn issue(workbench: &Workbench, tenant: TenantId, policy: KeyPolicy) -> String {
    let sealer = Arc::clone(&workbench.sealer);
    let tag_key = workbench
        .database
        .read(move |connection| Ok(installation::tag_key(connection, &sealer)))
        .await
        .unwrap()
        .unwrap();
    let (id, plain) = PlainSecretKey::generate(&tag_key).unwrap();
    let text = plain.expose().to_owned();
    let secret = NewSecret { id, hash: hash(&plain).unwrap(), last_four: text[text.len() - 4..].to_owned() };
    let now = workbench.clock.now();
    let issued = workbench.database.write(move |connection| {
        key::issue(connection, tenant, policy, &secret, now)?;
        Ok::<_, KeyError>(())
    });
    issued.await.unwrap();
    text
}
