//! The developers' console, on the public listener below `/console`: whoever has a Secret Key sees here what it may see.

pub(crate) mod access;
mod call;
mod calls;
mod keys;
pub(crate) mod navigation;
mod overview;
mod playground;
mod redeem;
mod rotate;
mod routes;
mod samples;
mod sign_in;
mod throttles;
mod usage;

use std::sync::Arc;

use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, ServiceConfig};
use shared::admission::Admission;
use shared::catalogue::Catalogue;
use shared::clock::Clock;
use shared::config::Settings;
use shared::db::Database;
use shared::deployment::{Deployment, Workbench};
use shared::keyring::Keyring;
use shared::seal::Sealer;

use self::throttles::Throttles;
use crate::frame::guard::guard;
use crate::frame::side::Side;

/// What the console stands on.
pub(crate) struct Console {
    pub(crate) side: Arc<Side>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) clock: Clock,
    pub(crate) database: Database,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) admission: Admission,
    pub(crate) catalogue: Catalogue,
    pub(crate) throttles: Throttles,
}

/// The routes of the console, on the developers' listener. `url` is how developers reach that, such as `https://api.example.com`.
pub fn console(
    deployment: &Deployment,
    workbench: &Workbench,
    url: String,
) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
    let settings = Arc::clone(&deployment.settings);
    let side = Arc::new(Side {
        root: "/console",
        cookie: "xiaoyi_console",
        url,
        zone: settings.timezone,
        currency: settings.currency.clone(),
        trusted: settings.trusted.proxies.clone(),
    });
    let console = Data::new(Console {
        side: Arc::clone(&side),
        settings,
        clock: deployment.clock.clone(),
        database: deployment.database.clone(),
        sealer: Arc::clone(&workbench.sealer),
        keyring: Arc::clone(&deployment.keyring),
        admission: deployment.admission.clone(),
        catalogue: deployment.catalogue.clone(),
        throttles: Throttles::new(&deployment.clock),
    });
    move |config| {
        let side = Arc::clone(&side);
        config.service(
            web::scope("/console")
                .app_data(console.clone())
                .configure(routes::add)
                // A key has no looks of its own: pages look as the browser wants.
                .wrap(from_fn(move |request, next| guard(Arc::clone(&side), async |_| None, request, next))),
        );
    }
}
