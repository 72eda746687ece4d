//! The developers' console, on the public listener. So far it shows how to call.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, PayloadConfig, ServiceConfig};
use askama::Template;
use shared::clock::Clock;
use shared::deployment::Deployment;

use crate::frame::assets;
use crate::frame::failure::Handled;
use crate::frame::guard::guard;
use crate::frame::page::{self, Page};
use crate::frame::posted::LONGEST_FORM;
use crate::frame::refuse::{nothing, resource};
use crate::frame::side::Side;

struct Console {
    side: Arc<Side>,
    clock: Clock,
}

/// The routes of the console, on the developers' listener. `url` is how developers reach that, such as `https://api.example.com`.
pub fn console(deployment: &Deployment, url: String) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
    let settings = &deployment.settings;
    let side = Arc::new(Side {
        root: "/console",
        cookie: "xiaoyi_console",
        url,
        zone: settings.timezone,
        currency: settings.currency.clone(),
        trusted: settings.trusted.proxies.clone(),
    });
    let console = Data::new(Console { side: Arc::clone(&side), clock: deployment.clock.clone() });
    move |config| {
        let side = Arc::clone(&side);
        config.service(
            web::scope("/console")
                .app_data(console.clone())
                .app_data(PayloadConfig::new(LONGEST_FORM))
                .service(resource("").get(samples).head(samples))
                .service(resource("/assets/{file}").get(assets::send).head(assets::send))
                .default_service(web::to(nothing))
                .wrap(from_fn(move |request, next| guard(Arc::clone(&side), request, next))),
        );
    }
}

#[derive(Template)]
#[template(path = "console/samples.html")]
struct Samples<'a> {
    page: &'a Page,
}

async fn samples(request: HttpRequest, console: Data<Console>) -> Handled {
    let page = Page::anonymous(&request, &console.side, console.clock.now());
    page::show(&request, &page, &Samples { page: &page })
}
