//! `xiaoyi serve`: the parts of a role in one process, from the first listener to the last running call.

mod first_owner;
mod openai;

use std::sync::Arc;
use std::time::{Duration, Instant};

use admin::{Answered, AskChannel};
use serde_json::{Value, json};
use shared::catalogue::channel::{self, Channel, ChannelKind};
use shared::config::Settings;
use shared::deployment::{Deployment, Role, Workbench};
use shared::staff::Reception;
use worker::Workers;

use crate::commands::channel_test;
use crate::failure::Failure;
use crate::http::{Links, Listeners, Servers};
use crate::monitoring::{Metrics, monitoring};
use crate::output::{Report, print};
use crate::signals::StopSignals;

/// The least time that workers have to come to an end after the listeners have.
const LAST_WORK: Duration = Duration::from_secs(2);

/// Serves until it is told to stop.
pub(crate) async fn run(settings: Settings, role: Role) -> Result<Report, Failure> {
    let mut signals = StopSignals::listen()?;
    let metrics = Metrics::collect()?;
    let listeners = Listeners::bind(&settings, role)?;
    let starting = async {
        let (workbench, migrations) = Workbench::for_serving(settings).await?;
        if migrations > 0 {
            let database = workbench.database.url().place();
            tracing::info!(migrations, database, "the database's schema is up to date now");
        }
        let mut service = Service::start(workbench, role, listeners, &metrics).await?;
        service.prepare_channels().await?;
        Ok::<_, Failure>(service)
    };
    let service = tokio::select! {
        service = starting => service?,
        // It may wait for a database that is not there yet.
        signal = signals.next() => {
            tracing::info!(signal, "stopped before it was ready");
            return Ok(Report::silent());
        }
    };
    print(&service.ready_line(None));
    service.show_link_for_first_owner().await?;
    let Links { api, admin, metrics, .. } = &service.links;
    tracing::info!(%role, api, admin, metrics, "serving");
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
    role: Role,
    workers: Option<Workers>,
    servers: Servers,
}

impl Service {
    /// Starts every part of `role`. When it returns, calls are answered.
    pub(crate) async fn start(
        workbench: Workbench,
        role: Role,
        listeners: Listeners,
        metrics: &Metrics,
    ) -> Result<Self, Failure> {
        let links = listeners.links(&workbench.settings)?;
        let deployment = Deployment::start(workbench.clone(), role).await?;
        let workers = role.works().then(|| Workers::start(&deployment));
        metrics.start_upkeep();

        let mut servers = Servers::default();
        let http = &deployment.settings.http;
        if let Some(listener) = listeners.api {
            let console = admin::console(&deployment, &workbench, links.api.clone());
            servers.start(listener, http, api::configure(&deployment, &links.api, console))?;
        }
        if let Some(listener) = listeners.admin {
            let (admin, console) = (links.admin.clone(), links.console.clone());
            let ask_channel = ask_channel(workbench.clone());
            let panel = admin::panel(&deployment, &workbench, admin, console, env!("CARGO_PKG_VERSION"), ask_channel);
            servers.start(listener, http, panel)?;
        }
        servers.start(listeners.metrics, http, monitoring(&deployment, metrics))?;
        Ok(Self { deployment, workbench, links, role, workers, servers })
    }

    /// Shows the link for the first owner, if this process serves the panel, nobody has an account, and somebody sees a terminal.
    pub(crate) async fn show_link_for_first_owner(&self) -> Result<(), Failure> {
        if !self.role.serves_panel() {
            return Ok(());
        }
        let Workbench { database, clock, sealer, .. } = self.workbench.clone();
        first_owner::show_link(&Reception::new(database, clock, sealer), &self.links.admin).await
    }

    /// The one line that says where everything of this process is; scripts wait for it.
    pub(crate) fn ready_line(&self, key: Option<Value>) -> String {
        let Links { api, admin, console, metrics, .. } = &self.links;
        let mut line = json!({"event": "ready", "role": self.role.name()});
        if self.role.serves_api() {
            line["api"] = json!(api);
        }
        if self.role.serves_panel() {
            line["admin"] = json!(admin);
        }
        if self.role.serves_api() {
            line["console"] = json!(console);
        }
        line["metrics"] = json!(metrics);
        if let Some(key) = key {
            line["key"] = key;
        }
        line.to_string()
    }

    /// Serves until the first order to stop, then lets running calls finish. A second order ends it at once.
    pub(crate) async fn until_told(mut self, signals: &mut StopSignals) -> Result<(), Failure> {
        let signal = tokio::select! {
            signal = signals.next() => signal,
            failure = self.servers.ended() => return Err(failure),
            reason = self.deployment.must_end() => return Err(Failure::new("already_running", reason)),
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
        let is_finished = match workers {
            Some(workers) => workers.stop(left).await,
            None => true,
        };
        // Calls whose client left with the listeners.
        let left = within.saturating_sub(started.elapsed()).max(LAST_WORK);
        let is_finished = deployment.admission.settled(left).await && is_finished;
        if !deployment.calls.finish(LAST_WORK).await {
            tracing::warn!("the details of the last calls could not be written; what they cost is in the ledger");
        }
        if is_finished {
            tracing::info!("stopped");
        } else {
            tracing::warn!("stopped with calls still running; their holds are released by whoever serves next");
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

/// How the panel asks a channel: like `xiaoyi channel test`.
fn ask_channel(workbench: Workbench) -> AskChannel {
    Arc::new(move |name| {
        let workbench = workbench.clone();
        Box::pin(async move {
            let tested = channel_test::ask(&workbench, name, None).await.map_err(|failure| failure.message)?;
            Ok(Answered { model: tested.model, answer: tested.answer, milliseconds: tested.milliseconds })
        })
    })
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
