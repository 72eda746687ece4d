//! Everything that runs: the servers, the proxies before them, the provider, and the service's own processes.

use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use testkit::{Postgres, Process, Provider, ProviderSettings, Proxy, Redis, free_port};

use super::plan::{Form, Link};
use super::{Settings, place::Place};

/// What every tenant pays in, as text and in 1e-9. The last one is poor, so that some calls are refused for their cost.
const RICH: (&str, i64) = ("1000000.00", 1_000_000_000_000_000);
const POOR: (&str, i64) = ("3.00", 3_000_000_000);
/// Tenants in all.
const TENANTS: usize = 5;
/// The only model.
pub(super) const MODEL: &str = "gpt-4";

/// A customer.
#[derive(Debug, Clone)]
pub(super) struct Tenant {
    /// A key that sees everything of the tenant.
    pub(super) key: String,
    /// What it paid, in 1e-9.
    pub(super) topped_up: i64,
}

/// A process of the service, which is started again under the same name and address.
pub(super) struct Part {
    pub(super) name: String,
    role: &'static str,
    environment: Vec<(String, String)>,
    process: Arc<Mutex<Process>>,
}

impl Part {
    fn start(place: &Place, name: String, role: &'static str, environment: Vec<(String, String)>) -> Result<Self> {
        let process = Arc::new(Mutex::new(place.serve(&name, role, &environment)?));
        Ok(Self { name, role, environment, process })
    }

    /// Starts it once more, and returns when it says that it is ready.
    pub(super) fn start_again(&self, place: &Place) -> Result<()> {
        let process = place.serve(&self.name, self.role, &self.environment)?;
        *self.process() = process;
        Ok(())
    }

    /// The process that runs at present, or ran last.
    pub(super) fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, for another thread.
    pub(super) fn shared(&self) -> Arc<Mutex<Process>> {
        Arc::clone(&self.process)
    }
}

/// PostgreSQL and Redis, each with the proxy by which the service reaches it.
pub(super) struct Servers {
    pub(super) postgres: Postgres,
    pub(super) redis: Redis,
    to_postgres: Proxy,
    to_redis: Proxy,
}

/// All of it. What depends on others is dropped before them.
pub(super) struct Stack {
    pub(super) apis: Vec<Part>,
    pub(super) workers: Vec<Part>,
    /// Where the API is served, one address a process.
    pub(super) bases: Vec<String>,
    pub(super) tenants: Vec<Tenant>,
    to_provider: Proxy,
    pub(super) provider: Provider,
    /// Of the distributed form only.
    pub(super) servers: Option<Servers>,
    pub(super) place: Place,
}

impl Stack {
    /// Starts everything and makes tenants, keys, a price and a channel.
    pub(super) fn start(settings: &Settings) -> Result<Self> {
        let provider = Provider::start(ProviderSettings::default())?;
        let to_provider = Proxy::start(provider.address())?;
        let mut environment = environment()?;
        let servers = match settings.form {
            Form::Embedded => None,
            Form::Distributed => Some(Servers::start(&mut environment)?),
        };
        let place = Place::new(&settings.program, environment)?;
        place.command(&["migrate"])?;
        let tenants = (0..TENANTS).map(|number| new_tenant(&place, number)).collect::<Result<Vec<_>>>()?;
        place.command(&["price", "set", MODEL, "--prompt", "10.00", "--completion", "30.00"])?;
        let url = format!("http://{}/v1", to_provider.address());
        let models = format!("{MODEL}=upstream-model");
        let channel = ["channel", "add", "--name", "fake", "--type", "openai", "--base-url", &url, "--models", &models];
        place.command_with(&[&channel[..], &["--api-key-stdin"]].concat(), "sk-of-the-provider\n")?;

        let mut stack = Self {
            apis: Vec::new(),
            workers: Vec::new(),
            bases: Vec::new(),
            tenants,
            to_provider,
            provider,
            servers,
            place,
        };
        for number in 0..settings.form.workers() {
            let part = Part::start(&stack.place, format!("worker-{number}"), "worker", stack.through(number + 10))?;
            stack.workers.push(part);
        }
        let role = if settings.form == Form::Embedded { "all" } else { "api" };
        for number in 0..settings.form.apis() {
            let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
            let mut environment = stack.through(number);
            environment.push(("XIAOYI_API_LISTEN".to_owned(), address.to_string()));
            stack.apis.push(Part::start(&stack.place, format!("api-{number}"), role, environment)?);
            stack.bases.push(format!("http://{address}"));
        }
        Ok(stack)
    }

    /// What a process of the service has in its environment beyond the usual: the way through the proxies.
    fn through(&self, number: usize) -> Vec<(String, String)> {
        let Some(servers) = &self.servers else { return Vec::new() };
        let database = servers.postgres.url_at(servers.to_postgres.address(), "chaos");
        let folder = self.place.path().join(format!("data-{number}")).display().to_string();
        [
            ("DATABASE_URL", database),
            ("REDIS_URL", servers.redis.url_at(servers.to_redis.address())),
            ("XIAOYI_DATA_DIR", folder),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// The proxy before something.
    pub(super) fn proxy(&self, link: Link) -> Result<&Proxy> {
        let servers = || self.servers.as_ref().context("the embedded form has no servers");
        Ok(match link {
            Link::Provider => &self.to_provider,
            Link::Postgres => &servers()?.to_postgres,
            Link::Redis => &servers()?.to_redis,
        })
    }

    /// Copies what all processes logged.
    pub(super) fn keep_logs(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        let mut logs: Vec<_> = fs::read_dir(self.place.path())?.flatten().map(|entry| entry.path()).collect();
        logs.extend(self.servers.iter().flat_map(|servers| [servers.postgres.log(), servers.redis.log()]));
        for log in logs.iter().filter(|path| path.extension().is_some_and(|extension| extension == "log")) {
            if let Some(name) = log.file_name() {
                fs::copy(log, folder.join(name))?;
            }
        }
        Ok(())
    }
}

impl Servers {
    /// Starts them, and adds to the environment how commands reach them: directly.
    fn start(environment: &mut Vec<(String, String)>) -> Result<Self> {
        let (postgres, redis) = (Postgres::start()?, Redis::start()?);
        postgres.query("postgres", "CREATE DATABASE chaos")?;
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let direct = postgres.url_at(address(postgres.port()), "chaos");
        environment.push(("DATABASE_URL".to_owned(), direct));
        environment.push(("REDIS_URL".to_owned(), redis.url()));
        let (to_postgres, to_redis) = (Proxy::start(address(postgres.port()))?, Proxy::start(address(redis.port()))?);
        Ok(Self { postgres, redis, to_postgres, to_redis })
    }
}

/// What every process and every command has in its environment.
fn environment() -> Result<Vec<(String, String)>> {
    let mut secret = [0; 32];
    fs::File::open("/dev/urandom")?.read_exact(&mut secret)?;
    let secret = STANDARD.encode(secret);
    let usual = [
        ("XIAOYI_SECRET_KEY", secret.as_str()),
        ("XIAOYI_API_LISTEN", "127.0.0.1:0"),
        ("XIAOYI_ADMIN_LISTEN", "127.0.0.1:0"),
        ("XIAOYI_METRICS_LISTEN", "127.0.0.1:0"),
        ("XIAOYI_LOG_FORMAT", "json"),
        // Short, so that what cannot end well does so, and its hold expires (30 s later), within what the trial waits.
        ("XIAOYI_DEADLINE_TOTAL_S", "30"),
        ("XIAOYI_DEADLINE_FIRST_TEXT_S", "10"),
        ("XIAOYI_DEADLINE_BETWEEN_CHUNKS_S", "10"),
        ("XIAOYI_DEADLINE_CONNECT_S", "5"),
    ];
    Ok(usual.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
}

fn new_tenant(place: &Place, number: usize) -> Result<Tenant> {
    let name = format!("tenant-{number}");
    let (amount, topped_up) = if number + 1 == TENANTS { POOR } else { RICH };
    place.command(&["tenant", "create", &name])?;
    place.command(&["topup", "--tenant", &name, "--amount", amount, "--reference", "first"])?;
    let key = place.command(&["key", "issue", "--tenant", &name, "--console", "tenant"])?;
    let key = key["secret"].as_str().context("key issue printed no secret")?;
    Ok(Tenant { key: key.to_owned(), topped_up })
}
