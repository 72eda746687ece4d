//! The listener that every role has: `/metrics` for Prometheus, `/healthz` and `/readyz`.

use std::time::Duration;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde_json::json;
use shared::deployment::Deployment;

use crate::failure::Failure;

/// How often values that came in are put into their buckets, so that they do not pile up where nobody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);
/// Bounds for what is measured in seconds: from a cached answer to the longest call.
const SECONDS: [f64; 16] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 180.0, 600.0];
/// Bounds for sizes of batches.
const OPERATIONS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// Collects every metric of this process. Clones share what was collected.
#[derive(Clone)]
pub(crate) struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Begins to collect. Call it once, before anything is measured.
    ///
    /// # Errors
    /// When something else collects already.
    pub(crate) fn collect() -> Result<Self, Failure> {
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
            .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_operations".to_owned()), &OPERATIONS))
            .and_then(PrometheusBuilder::install_recorder)
            .map_err(Failure::internal)?;
        Ok(Self { handle })
    }

    /// Keeps what was collected small, for as long as the runtime lives.
    pub(crate) fn start_upkeep(&self) {
        let handle = self.handle.clone();
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(UPKEEP);
            loop {
                tick.tick().await;
                handle.run_upkeep();
            }
        });
    }

    async fn render(&self, deployment: &Deployment) -> String {
        let depth = deployment.queue.depth().await;
        metrics::gauge!("xiaoyi_queue_waiting_jobs").set(number(depth.waiting));
        metrics::gauge!("xiaoyi_queue_running_jobs").set(number(depth.running));
        metrics::gauge!("xiaoyi_queue_oldest_milliseconds").set(number(usize::try_from(depth.oldest_ms).unwrap_or(0)));
        let readiness = deployment.health.readiness().await;
        metrics::gauge!("xiaoyi_ready").set(if readiness.is_ready() { 1.0 } else { 0.0 });
        metrics::gauge!("xiaoyi_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        self.handle.render()
    }
}

/// A gauge is a float in Prometheus' format; these counts are far below where one loses digits.
fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// The routes.
pub(crate) fn monitoring(
    deployment: &Deployment,
    collected: &Metrics,
) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
    let watched = Data::new(Watched { deployment: deployment.clone(), metrics: collected.clone() });
    move |config| {
        config
            .app_data(watched.clone())
            .service(web::resource("/metrics").get(show_metrics))
            .service(web::resource("/healthz").get(alive).head(alive))
            .service(web::resource("/readyz").get(ready).head(ready));
    }
}

struct Watched {
    deployment: Deployment,
    metrics: Metrics,
}

async fn show_metrics(watched: Data<Watched>) -> HttpResponse {
    let text = watched.metrics.render(&watched.deployment).await;
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(text)
}

async fn alive(_request: HttpRequest) -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(json!({"status": "ok"}))
}

async fn ready(watched: Data<Watched>) -> HttpResponse {
    let readiness = watched.deployment.health.readiness().await;
    let mut response = if readiness.is_ready() { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.insert_header((CACHE_CONTROL, "no-store")).json(readiness)
}
