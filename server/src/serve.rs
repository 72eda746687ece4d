//! `xiaoyi serve`: all parts in one process, from the first listener to the last running call.

mod openai;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::catalogue::channel::{self, Channel, ChannelKind};
use shared::config::Settings;
use shared::deployment::{Deployment, Workbench};
use worker::Workers;

use crate::failure::Failure;
use crate::http::{Links, Listeners, Servers};
use crate::monitoring::{Metrics, monitoring};
use crate::output::{Report, print};
use crate::signals::StopSignals;

/// The least time that workers have to come to an end after the listeners have.
const LAST_WORK: Duration = Duration::from_secs(2);

/// Serves until it is told to stop.
pub(crate) async fn run(settings: Settings) -> Result<Report, Failure> {
    let mut signals = StopSignals::listen()?;
    let metrics = Metrics::collect()?;
    let listeners = Listeners::bind(&settings)?;
    let (workbench, migrations) = Workbench::create(settings).await?;
    if migrations > 0 {
        tracing::info!(migrations, database = %workbench.database.path().display(), "the database's schema is up to date now");
    }
    let mut service = Service::start(workbench, listeners, &metrics).await?;
    service.prepare_channels().await?;
    print(&service.ready_line(None));
    tracing::info!(api = service.links.api, admin = service.links.admin, metrics = service.links.metrics, "serving");
    service.until_told(&mut signals).await?;
    Ok(Report::silent())
}

/// All parts of a process that serves.
pub(crate) struct Service {
    /// The parts that everything shares.
    pub(crate) deployment: Deployment,
    /// For what commands do also.
    pub(crate) workbench: Workbench,
    /// How it is reached.
    pub(crate) links: Links,
    workers: Workers,
    servers: Servers,
}

impl Service {
    /// Starts every part. When it returns, calls are answered.
    pub(crate) async fn start(workbench: Workbench, listeners: Listeners, metrics: &Metrics) -> Result<Self, Failure> {
        let links = listeners.links(&workbench.settings)?;
        let deployment = Deployment::start(workbench.clone()).await?;
        let workers = Workers::start(&deployment);
        metrics.start_upkeep();

        let mut servers = Servers::default();
        let http = &deployment.settings.http;
        let console = admin::console(links.api.clone());
        servers.start(listeners.api, http, api::configure(&deployment, console))?;
        let panel = admin::panel(deployment.health.clone(), links.console.clone(), env!("CARGO_PKG_VERSION"));
        servers.start(listeners.admin, http, panel)?;
        servers.start(listeners.metrics, http, monitoring(&deployment, metrics))?;
        Ok(Self { deployment, workbench, links, workers, servers })
    }

    /// The one line that says where everything is; scripts wait for it.
    pub(crate) fn ready_line(&self, key: Option<Value>) -> String {
        let mut line = json!({"event": "ready"});
        if let (Value::Object(line), Ok(Value::Object(links))) = (&mut line, serde_json::to_value(&self.links)) {
            line.extend(links);
            line.extend(key.map(|key| ("key".to_owned(), key)));
        }
        line.to_string()
    }

    /// Serves until the first order to stop, then lets running calls finish. A second order ends it at once.
    pub(crate) async fn until_told(mut self, signals: &mut StopSignals) -> Result<(), Failure> {
        let signal = tokio::select! {
            signal = signals.next() => signal,
            failure = self.servers.ended() => return Err(failure),
        };
        let within_s = self.deployment.settings.http.shutdown_s;
        tracing::info!(
            signal,
            within_s,
            "stopping: no new calls, running ones may finish; a second signal ends at once"
        );
        tokio::select! {
            () = self.stop() => Ok(()),
            signal = signals.next() => Err(Failure::new("stopped_at_once", format!("{signal} came a second time: running calls were cut off"))),
        }
    }

    /// Takes no more calls, lets running ones finish within the settings' time, and ends.
    pub(crate) async fn stop(self) {
        let Self { deployment, workers, servers, .. } = self;
        let within = Duration::from_secs(deployment.settings.http.shutdown_s);
        let started = Instant::now();
        // Calls that wait for their turn still get it: the queue is closed after the last client was answered.
        servers.stop().await;
        let left = within.saturating_sub(started.elapsed()).max(LAST_WORK);
        if workers.stop(left).await {
            tracing::info!("stopped");
        } else {
            tracing::warn!("stopped with calls still running; their holds are released at the next start");
        }
    }

    /// Makes the channel that the settings ask for, and warns of what does not belong into production.
    async fn prepare_channels(&mut self) -> Result<(), Failure> {
        if let Some(made) = openai::make_channel(&self.workbench).await? {
            let models: Vec<&str> = made.models.keys().map(String::as_str).collect();
            tracing::info!(
                channel = made.name,
                base_url = made.base_url,
                models = models.join(","),
                "made a channel from OPENAI_API_KEY"
            );
            self.deployment.catalogue.reload(&self.deployment.database).await?;
        } else if openai::keeps_another_key(&self.workbench).await? {
            tracing::warn!(channel = openai::NAME, "{}", openai::KEEPS_ITS_KEY);
        }
        let channels = self.deployment.database.read(channel::list).await?;
        if let Some(warning) = without_channels(&channels) {
            tracing::warn!("{warning}");
        }
        for echo in channels.iter().filter(|channel| channel.enabled && channel.kind == ChannelKind::Echo) {
            let models: Vec<&str> = echo.models.keys().map(String::as_str).collect();
            tracing::warn!(
                channel = echo.name,
                models = models.join(","),
                "an echo channel answers with the prompt and charges for it"
            );
        }
        Ok(())
    }
}

/// What to do when nothing can be called.
fn without_channels(channels: &[Channel]) -> Option<&'static str> {
    if channels.iter().any(|channel| channel.enabled) {
        return None;
    }
    // OPENAI_API_KEY makes a channel only where there is none.
    Some(if channels.is_empty() {
        "no channel is enabled: set OPENAI_API_KEY and start again, or run `xiaoyi channel add ...`; until then every call is answered with 503"
    } else {
        "no channel is enabled: run `xiaoyi channel enable NAME` or `xiaoyi channel add ...`; until then every call is answered with 503"
    })
}
