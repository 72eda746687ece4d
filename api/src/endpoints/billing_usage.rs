//! `GET /v1/dashboard/billing/usage`: what was spent in a period, in the shape that chat clients read.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use shared::ledger;

use crate::auth::KeyHolder;
use crate::number::Hundredths;
use crate::period;
use crate::reply::{self, Refused};
use crate::surface::Surface;
use crate::visit::Visit;

#[derive(Deserialize)]
struct Query {
    start_date: Option<String>,
    end_date: Option<String>,
}

#[derive(Serialize)]
struct Usage {
    object: &'static str,
    total_usage: Hundredths,
}

pub(crate) async fn get(
    KeyHolder(caller): KeyHolder,
    surface: web::Data<Surface>,
    visit: Visit,
    request: HttpRequest,
) -> Result<HttpResponse, Refused> {
    let query: Query = period::query(&request)?;
    let (settings, now) = (&surface.deployment.settings, surface.deployment.clock.now());
    let start = ("start_date", query.start_date.as_deref());
    let end = ("end_date", query.end_date.as_deref());
    let period = period::between(start, end, settings.timezone, now)?;
    let (tenant, key) = (caller.tenant, caller.sees_only());
    let spent =
        surface.read(&visit, move |connection| ledger::charged_between(connection, tenant, key, period)).await?;
    reply::json(&Usage { object: "list", total_usage: Hundredths(spent) })
}
