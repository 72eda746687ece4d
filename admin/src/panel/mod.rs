//! The operators' panel, on a listener of its own.

pub(crate) mod access;
mod audit;
mod call;
mod channels;
pub(crate) mod codes;
mod dashboard;
mod entrance;
pub(crate) mod keys;
mod ledger;
mod list_filters;
mod models;
pub(crate) mod navigation;
mod routes;
mod search;
mod settings;
mod staff;
pub(crate) mod tenants;
pub(crate) mod top_ups;
mod usage;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, ServiceConfig};
use shared::catalogue::Catalogue;
use shared::clock::Clock;
use shared::config::Settings;
use shared::db::Database;
use shared::deployment::{Deployment, Workbench};
use shared::health::Health;
use shared::queue::Queue;
use shared::seal::Sealer;
use shared::staff::Reception;

use crate::frame::guard::guard;
use crate::frame::side::Side;

/// What a channel answered when it was asked for a few words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Under which of its models, by the public name.
    pub model: String,
    /// The answer's text.
    pub answer: String,
    /// How long it took.
    pub milliseconds: i64,
}

/// What asking a channel gave, or what went wrong, in words.
pub type ChannelAnswer = Result<Answered, String>;

/// Asks the channel of this name for a few words. (This crate speaks to no provider.)
pub type AskChannel = Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = ChannelAnswer> + Send>> + Send + Sync>;

/// What the panel stands on.
pub(crate) struct Panel {
    pub(crate) side: Arc<Side>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) clock: Clock,
    pub(crate) database: Database,
    pub(crate) sealer: Arc<Sealer>,
    /// Where people show who they are.
    pub(crate) reception: Reception,
    pub(crate) catalogue: Catalogue,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) health: Health,
    pub(crate) ask_channel: AskChannel,
    /// Where developers read how to call.
    pub(crate) console_url: String,
    /// This program's.
    pub(crate) version: &'static str,
}

/// The routes of the panel's listener. `url` is how operators reach it, `console_url` where developers read how to call, `version` this
/// program's.
pub fn panel(
    deployment: &Deployment,
    workbench: &Workbench,
    url: String,
    console_url: String,
    version: &'static str,
    ask_channel: AskChannel,
) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
    let settings = Arc::clone(&deployment.settings);
    let side = Arc::new(Side {
        root: "",
        cookie: "xiaoyi_panel",
        url,
        zone: settings.timezone,
        currency: settings.currency.clone(),
        trusted: settings.trusted.proxies.clone(),
    });
    let panel = Data::new(Panel {
        side: Arc::clone(&side),
        settings,
        clock: deployment.clock.clone(),
        database: deployment.database.clone(),
        sealer: Arc::clone(&workbench.sealer),
        reception: Reception::new(deployment.database.clone(), deployment.clock.clone(), Arc::clone(&workbench.sealer)),
        catalogue: deployment.catalogue.clone(),
        queue: Arc::clone(&deployment.queue),
        health: deployment.health.clone(),
        ask_channel,
        console_url,
        version,
    });
    move |config| {
        let (side, asked) = (Arc::clone(&side), panel.clone());
        config.service(web::scope("").app_data(panel.clone()).configure(routes::add).wrap(from_fn(
            move |request, next| {
                let (side, panel) = (Arc::clone(&side), asked.clone());
                guard(side, async move |request| access::wanted_looks(request, &panel).await, request, next)
            },
        )));
    }
}
