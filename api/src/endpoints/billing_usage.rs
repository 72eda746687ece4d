//! `GET /v1/dashboard/billing/usage`: what the whole tenant spent in a period, in the shape that chat clients read.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use shared::ledger;
use utoipa::ToSchema;

use crate::auth::KeyHolder;
use crate::description::{Moment, QueryRefusals};
use crate::number::Hundredths;
use crate::reply::{self, Refused};
use crate::surface::Surface;
use crate::visit::Visit;
use crate::{period, query};

/// What the account was charged in a period.
#[derive(Serialize, ToSchema)]
#[schema(as = BillingUsage)]
pub(crate) struct Usage {
    object: &'static str,
    /// In hundredths of the service's currency.
    total_usage: Hundredths,
}

/// What was charged in a period, as chat clients ask for it
///
/// Of all keys of the account. A period has at most 366 days.
#[utoipa::path(
    get, path = "/v1/dashboard/billing/usage", tag = "billing", operation_id = "getBillingUsage",
    params(
        ("start_date" = Option<Moment>, Query, description = "When it begins; 30 days before its end if it is not given.",
         example = json!("2026-01-01")),
        ("end_date" = Option<Moment>, Query, description = "When it ends, exclusive; now if it is not given.",
         example = json!("2026-01-31T08:00:00+08:00")),
    ),
    responses(
        (status = 200, description = "The sum.", body = Usage, example = json!({"object": "list", "total_usage": 8813.42})),
        QueryRefusals,
    ),
)]
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
