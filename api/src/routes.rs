//! Which path is answered by which file in `endpoints`.

use actix_web::middleware::from_fn;
use actix_web::{Resource, Scope, web};
use shared::deployment::Deployment;

use crate::endpoints::{
    balance, billing_usage, chat, completions, credit_grants, health, images, ledger, models, subscription, unknown,
    usage,
};
use crate::surface::Surface;
use crate::visit;

/// Where the API lies. The last one is the original service's.
const PREFIXES: [&str; 3] = ["/v1", "/api/v1", "/index.php/api/v1"];

const GET: &str = "GET";
const POST: &str = "POST";
const GET_HEAD: &str = "GET, HEAD";
const GET_POST: &str = "GET, POST";

/// The whole surface of the developers' listener, unknown paths included, for [`actix_web::App::configure`]:
///
/// `App::new().configure(api::configure(&deployment))`
///
/// It brings its own middleware (request ids, access log, metrics). The server that hosts it should set
/// `h1_allow_half_closed(false)`, so that a client's leaving is noticed while its call runs.
pub fn configure(deployment: &Deployment) -> impl Fn(&mut web::ServiceConfig) + Clone + use<> {
    let surface = web::Data::new(Surface::new(deployment.clone()));
    move |config: &mut web::ServiceConfig| {
        let mut all = web::scope("")
            .app_data(surface.clone())
            .service(only(GET_HEAD, web::resource("/healthz").get(health::alive).head(health::alive)))
            .service(only(GET_HEAD, web::resource("/readyz").get(health::ready).head(health::ready)));
        for prefix in PREFIXES {
            let below = billing(calls_and_records(web::scope(prefix)));
            all = all.service(below.default_service(web::to(unknown::path)));
        }
        // Chat clients ask for the balance also without the version.
        all = billing(all);
        config.service(all.default_service(web::to(unknown::path)).wrap(from_fn(visit::record)));
    }
}

fn calls_and_records(scope: Scope) -> Scope {
    scope
        .service(only(POST, web::resource("/chat/completions").post(chat::post)))
        .service(only(POST, web::resource("/completions").post(completions::post)))
        .service(only(POST, web::resource("/images/generations").post(images::post)))
        .service(only(GET, web::resource("/models").get(models::list)))
        .service(only(GET, web::resource("/models/{model:.+}").get(models::one)))
        .service(only(GET, web::resource("/balance").get(balance::get)))
        .service(only(GET, web::resource("/usage").get(usage::get)))
        .service(only(GET, web::resource("/ledger").get(ledger::get)))
}

fn billing(scope: Scope) -> Scope {
    let grants = web::resource("/dashboard/billing/credit_grants").get(credit_grants::get).post(credit_grants::post);
    scope
        .service(only(GET_POST, grants))
        .service(only(GET, web::resource("/dashboard/billing/subscription").get(subscription::get)))
        .service(only(GET, web::resource("/dashboard/billing/usage").get(billing_usage::get)))
}

/// A resource that answers other methods than `allowed` with a refusal.
fn only(allowed: &'static str, resource: Resource) -> Resource {
    resource.default_service(web::to(move |request, payload| unknown::method(allowed, request, payload)))
}

/// The name of a path's endpoint, for the metrics: one of a few, whatever clients ask for.
pub(crate) fn endpoint_of(path: &str) -> &'static str {
    let within = PREFIXES.iter().rev().find_map(|prefix| path.strip_prefix(prefix)).unwrap_or(path);
    match within {
        "/chat/completions" => "chat",
        "/completions" => "completions",
        "/images/generations" => "images",
        "/balance" => "balance",
        "/usage" => "usage",
        "/ledger" => "ledger",
        "/dashboard/billing/credit_grants" => "credit_grants",
        "/dashboard/billing/subscription" => "subscription",
        "/dashboard/billing/usage" => "billing_usage",
        "/healthz" | "/readyz" => "health",
        _ if within == "/models" || within.starts_with("/models/") => "models",
        _ => "unknown",
    }
}
