//! `GET /v1/dashboard/billing/subscription`: all that was ever topped up, in the shape that chat clients read.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use shared::ledger;
use shared::refusal::Refusal;
use utoipa::ToSchema;

use crate::auth::KeyHolder;
use crate::description::ReadRefusals;
use crate::number::Units;
use crate::reply::{self, Refused};
use crate::surface::Surface;
use crate::visit::Visit;

/// 2100-01-01: a balance does not expire.
const NEVER: i64 = 4_102_444_800;

/// All that was ever paid in. The amounts are in the service's own currency, whatever their names say.
#[derive(Serialize, ToSchema)]
pub(crate) struct Subscription {
    object: &'static str,
    has_payment_method: bool,
    soft_limit_usd: Units,
    hard_limit_usd: Units,
    system_hard_limit_usd: Units,
    /// Seconds since 1970. A balance does not expire.
    access_until: i64,
}

/// All that was ever paid in, as chat clients ask for it
#[utoipa::path(
    get, path = "/v1/dashboard/billing/subscription", tag = "billing", operation_id = "getSubscription",
    responses(
        (status = 200, description = "What was paid in, as limits.", body = Subscription, example = json!({
            "object": "billing_subscription", "has_payment_method": true, "soft_limit_usd": 200, "hard_limit_usd": 200,
            "system_hard_limit_usd": 200, "access_until": 4102444800i64,
        })),
        ReadRefusals,
    ),
)]
pub(crate) async fn get(
    KeyHolder(caller): KeyHolder,
    surface: web::Data<Surface>,
    visit: Visit,
) -> Result<HttpResponse, Refused> {
    let tenant = caller.tenant;
    let totals = surface
        .read(&visit, move |connection| ledger::totals(connection, tenant))
        .await?
        .ok_or_else(Refusal::internal)?;
    let granted = Units(totals.granted);
    reply::json(&Subscription {
        object: "billing_subscription",
        has_payment_method: true,
        soft_limit_usd: granted,
        hard_limit_usd: granted,
        system_hard_limit_usd: granted,
        access_until: NEVER,
    })
}
