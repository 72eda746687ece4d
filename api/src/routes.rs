//! Which path is answered by which file in `endpoints`.

use actix_web::http::Method;
use actix_web::middleware::from_fn;
use actix_web::{Handler, Resource, Responder, Route, Scope, web};
use shared::deployment::Deployment;

use crate::description::Description;
use crate::endpoints::{
    balance, billing_usage, chat, completions, credit_grants, embeddings, health, images, ledger, models, moderations,
    openapi, subscription, unknown, usage,
};
use crate::surface::Surface;
use crate::visit;
use crate::{cors, docs};

/// Where the API lies. The last one is the original service's.
const PREFIXES: [&str; 3] = ["/v1", "/api/v1", "/index.php/api/v1"];
/// Where chat clients ask for the balance also, because they leave the version out. The root is one more of these.
const WITHOUT_VERSION: [&str; 2] = ["/api", "/index.php/api"];

/// The whole surface of the developers' listener, unknown paths included, for [`actix_web::App::configure`]:
///
/// `App::new().configure(api::configure(&deployment, "https://api.example.com", pages))`
///
/// `public_url` is what developers append paths to; the API's own description names it. `pages` adds what else lies on the same
/// listener, such as the console: under the same middleware, and before the unknown paths.
///
/// It brings its own middleware (request ids, access log, metrics). The server that hosts it should set
/// `h1_allow_half_closed(false)`, so that a client's leaving is noticed while its call runs.
pub fn configure<P>(
    deployment: &Deployment,
    public_url: &str,
    pages: P,
) -> impl Fn(&mut web::ServiceConfig) + Clone + use<P>
where
    P: Fn(&mut web::ServiceConfig) + Clone,
{
    let surface = web::Data::new(Surface::new(deployment.clone()));
    let description = web::Data::new(Description::new(public_url, &deployment.settings));
    move |config: &mut web::ServiceConfig| {
        let mut all = web::scope("").app_data(surface.clone()).app_data(description.clone()).configure(&pages);
        all = page_about_it(beside_the_version(all));
        for prefix in PREFIXES {
            let below = billing(calls_and_records(web::scope(prefix)));
            all = all.service(below.default_service(web::to(unknown::path)));
        }
        // Behind the longer prefixes, which begin with these.
        for prefix in WITHOUT_VERSION {
            all = all.service(billing(web::scope(prefix)).default_service(web::to(unknown::path)));
        }
        all = billing(all);
        config.service(
            all.default_service(web::to(unknown::path)).wrap(from_fn(cors::share)).wrap(from_fn(visit::record)),
        );
    }
}

/// Something that routes are put into: actix-web's scope, or a test's list of them.
trait Routes: Sized {
    /// The same with one more path, and its ways to be asked.
    fn at<const COUNT: usize>(self, path: &str, ways: [Way; COUNT]) -> Self;
}

impl Routes for Scope {
    fn at<const COUNT: usize>(self, path: &str, ways: [Way; COUNT]) -> Self {
        let allowed = ways.each_ref().map(|way| way.method.to_string()).join(", ");
        let resource = ways.into_iter().fold(web::resource(path), |resource, way| resource.route(way.route));
        self.service(only(allowed, resource))
    }
}

/// A method and what answers it.
struct Way {
    method: Method,
    route: Route,
}

fn get<F, A>(handler: F) -> Way
where
    F: Handler<A>,
    A: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    Way { method: Method::GET, route: web::get().to(handler) }
}

fn head<F, A>(handler: F) -> Way
where
    F: Handler<A>,
    A: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    Way { method: Method::HEAD, route: web::head().to(handler) }
}

fn post<F, A>(handler: F) -> Way
where
    F: Handler<A>,
    A: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    Way { method: Method::POST, route: web::post().to(handler) }
}

fn beside_the_version<T: Routes>(routes: T) -> T {
    routes
        .at("/healthz", [get(health::alive), head(health::alive)])
        .at("/readyz", [get(health::ready), head(health::ready)])
        .at("/openapi.json", [get(openapi::get), head(openapi::get)])
}

/// For people, so it is not described itself.
fn page_about_it<T: Routes>(routes: T) -> T {
    routes
        .at("/docs", [get(docs::page), head(docs::page)])
        .at("/docs/", [get(docs::with_slash), head(docs::with_slash)])
        .at("/docs/{file}", [get(docs::file), head(docs::file)])
}

fn calls_and_records<T: Routes>(routes: T) -> T {
    routes
        .at("/chat/completions", [post(chat::post)])
        .at("/completions", [post(completions::post)])
        .at("/images/generations", [post(images::post)])
        .at("/embeddings", [post(embeddings::post)])
        .at("/moderations", [post(moderations::post)])
        .at("/models", [get(models::list)])
        .at("/models/{model:.+}", [get(models::one)])
        .at("/balance", [get(balance::get)])
        .at("/usage", [get(usage::get)])
        .at("/ledger", [get(ledger::get)])
}

fn billing<T: Routes>(routes: T) -> T {
    routes
        .at("/dashboard/billing/credit_grants", [get(credit_grants::get), post(credit_grants::post)])
        .at("/dashboard/billing/subscription", [get(subscription::get)])
        .at("/dashboard/billing/usage", [get(billing_usage::get)])
}

/// A resource that answers other methods than `allowed` with a refusal.
fn only(allowed: String, resource: Resource) -> Resource {
    resource.default_service(web::to(move |request, payload| unknown::method(allowed.clone(), request, payload)))
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
        "/openapi.json" | "/docs" => "docs",
        _ if path.starts_with("/docs/") => "docs",
        _ if path == "/console" || path.starts_with("/console/") => "console",
        _ if within == "/models" || within.starts_with("/models/") => "models",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rstest::rstest;

    use super::*;

    /// Paths as the description writes them, each with a method.
    #[derive(Default)]
    struct Listed(BTreeSet<(String, String)>);

    impl Routes for Listed {
        fn at<const COUNT: usize>(mut self, path: &str, ways: [Way; COUNT]) -> Self {
            let path = path.replace(":.+}", "}");
            self.0.extend(ways.map(|way| (path.clone(), way.method.to_string())));
            self
        }
    }

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let described = Description::new("https://api.example.com", &crate::description::default_settings());
        let described: BTreeSet<_> = described.operations().into_iter().collect();
        let versioned = billing(calls_and_records(Listed::default())).0;
        let mut routes: BTreeSet<_> =
            versioned.into_iter().map(|(path, method)| (format!("{}{path}", PREFIXES[0]), method)).collect();
        routes.extend(billing(beside_the_version(Listed::default())).0);
        let missing: Vec<_> = routes.difference(&described).collect();
        let invented: Vec<_> = described.difference(&routes).collect();
        assert!(missing.is_empty(), "routes without #[utoipa::path], or not named in api/src/description: {missing:?}");
        assert!(invented.is_empty(), "described, but no route: {invented:?}");
    }

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
    #[case("/openapi.json", "docs")]
    #[case("/docs", "docs")]
    #[case("/docs/swagger-ui.css", "docs")]
    #[case("/v1/docs/x", "unknown")]
    #[case("/consoles", "unknown")]
    #[case("/api", "unknown")]
    fn endpoints(#[case] path: &str, #[case] expected: &str) {
        assert_eq!(endpoint_of(path), expected);
    }
}
