//! `GET /v1/dashboard/billing/usage`: what the whole tenant spent in a period, in the shape that chat clients read.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use shared::ledger;

use crate::auth::KeyHolder;
use crate::number::Hundredths;
use crate::reply::{self, Refused};
use crate::surface::Surface;
use crate::visit::Visit;
use crate::{period, query};

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
    let [start, end] = query::read(&request, ["start_date", "end_date"])?;
    let (settings, now) = (&surface.deployment.settings, surface.deployment.clock.now());
    let (start, end) = (("start_date", start.as_deref()), ("end_date", end.as_deref()));
    let period = period::between(start, end, settings.timezone, now)?;
    let tenant = caller.tenant;
    // Of all keys, like the subscription: clients show the difference of the two as the rest.
    let spent =
        surface.read(&visit, move |connection| ledger::charged_between(connection, tenant, None, period)).await?;
    reply::json(&Usage { object: "list", total_usage: Hundredths(spent) })
}
