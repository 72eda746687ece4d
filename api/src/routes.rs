//! Which path is answered by which file in `endpoints`.

use actix_web::middleware::from_fn;
use actix_web::{Resource, Scope, web};
use shared::deployment::Deployment;

use crate::endpoints::{
    balance, billing_usage, chat, completions, credit_grants, embeddings, health, images, ledger, models, moderations,
    subscription, unknown, usage,
};
use crate::surface::Surface;
use crate::visit;

/// Where the API lies. The last one is the original service's.
const PREFIXES: [&str; 3] = ["/v1", "/api/v1", "/index.php/api/v1"];
/// Where chat clients ask for the balance also, because they leave the version out. The root is one more of these.
const WITHOUT_VERSION: [&str; 2] = ["/api", "/index.php/api"];

const GET: &str = "GET";
const POST: &str = "POST";
const GET_HEAD: &str = "GET, HEAD";
const GET_POST: &str = "GET, POST";

/// The whole surface of the developers' listener, unknown paths included, for [`actix_web::App::configure`]:
///
/// `App::new().configure(api::configure(&deployment, pages))`
///
/// `pages` adds what else lies on the same listener, such as the console: under the same middleware, and before the unknown paths.
///
/// It brings its own middleware (request ids, access log, metrics). The server that hosts it should set
/// `h1_allow_half_closed(false)`, so that a client's leaving is noticed while its call runs.
pub fn configure<P>(deployment: &Deployment, pages: P) -> impl Fn(&mut web::ServiceConfig) + Clone + use<P>
where
    P: Fn(&mut web::ServiceConfig) + Clone,
{
    let surface = web::Data::new(Surface::new(deployment.clone()));
    move |config: &mut web::ServiceConfig| {
        let mut all = web::scope("")
            .app_data(surface.clone())
            .configure(&pages)
            .service(only(GET_HEAD, web::resource("/healthz").get(health::alive).head(health::alive)))
            .service(only(GET_HEAD, web::resource("/readyz").get(health::ready).head(health::ready)));
        for prefix in PREFIXES {
            let below = billing(calls_and_records(web::scope(prefix)));
            all = all.service(below.default_service(web::to(unknown::path)));
        }
        // Behind the longer prefixes, which begin with these.
        for prefix in WITHOUT_VERSION {
            all = all.service(billing(web::scope(prefix)).default_service(web::to(unknown::path)));
        }
        all = billing(all);
        config.service(all.default_service(web::to(unknown::path)).wrap(from_fn(visit::record)));
    }
}

fn calls_and_records(scope: Scope) -> Scope {
    scope
        .service(only(POST, web::resource("/chat/completions").post(chat::post)))
        .service(only(POST, web::resource("/completions").post(completions::post)))
        .service(only(POST, web::resource("/images/generations").post(images::post)))
        .service(only(POST, web::resource("/embeddings").post(embeddings::post)))
        .service(only(POST, web::resource("/moderations").post(moderations::post)))
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
    let prefixes = PREFIXES.iter().rev().chain(WITHOUT_VERSION.iter());
    let within = prefixes.into_iter().find_map(|prefix| path.strip_prefix(prefix)).unwrap_or(path);
    match within {
        "/chat/completions" => "chat",
        "/completions" => "completions",
        "/images/generations" => "images",
        "/embeddings" => "embeddings",
        "/moderations" => "moderations",
        "/balance" => "balance",
        "/usage" => "usage",
        "/ledger" => "ledger",
        "/dashboard/billing/credit_grants" => "credit_grants",
        "/dashboard/billing/subscription" => "subscription",
        "/dashboard/billing/usage" => "billing_usage",
        "/healthz" | "/readyz" => "health",
        _ if path == "/console" || path.starts_with("/console/") => "console",
        _ if within == "/models" || within.starts_with("/models/") => "models",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::endpoint_of;

    #[rstest]
    #[case("/v1/chat/completions", "chat")]
    #[case("/index.php/api/v1/models/gpt-4", "models")]
    #[case("/api/v1/embeddings", "embeddings")]
    #[case("/v1/moderations", "moderations")]
    #[case("/dashboard/billing/usage", "billing_usage")]
    #[case("/api/dashboard/billing/credit_grants", "credit_grants")]
    #[case("/index.php/api/dashboard/billing/subscription", "subscription")]
    #[case("/console", "console")]
    #[case("/console/style.css", "console")]
    #[case("/v1/console", "unknown")]
    #[case("/consoles", "unknown")]
    #[case("/api", "unknown")]
    fn endpoints(#[case] path: &str, #[case] expected: &str) {
        assert_eq!(endpoint_of(path), expected);
    }
}
