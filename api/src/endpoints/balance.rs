//! `GET /v1/balance`

use actix_web::{HttpResponse, web};
use serde::Serialize;
use shared::ledger;
use shared::money::Amount;
use shared::refusal::Refusal;
use utoipa::ToSchema;

use crate::auth::KeyHolder;
use crate::description::{Money, ReadRefusals};
use crate::reply::{self, Refused};
use crate::surface::Surface;
use crate::visit::Visit;

/// What the account has.
#[derive(Serialize, ToSchema)]
pub(crate) struct Balance<'a> {
    code: u32,
    msg: &'static str,
    /// Of all amounts; ISO 4217.
    currency: &'a str,
    /// What was paid in, less what was charged.
    #[schema(value_type = Money)]
    posted: Amount,
    /// What is set aside for running calls.
    #[schema(value_type = Money)]
    held: Amount,
    /// What a new call may cost at most.
    #[schema(value_type = Money)]
    available: Amount,
}

/// The balance
#[utoipa::path(
    get, path = "/v1/balance", tag = "records", operation_id = "getBalance",
    responses(
        (status = 200, description = "The account's balance.", body = Balance, example = json!({
            "code": 0, "msg": "", "currency": "CNY", "posted": "111.8658", "held": "0.12293", "available": "111.74287",
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
    let balance = surface.read(&visit, move |connection| ledger::balance(connection, tenant)).await?;
    let balance = balance.ok_or_else(Refusal::internal)?;
    reply::json(&Balance {
        code: 0,
        msg: "",
        currency: &surface.deployment.settings.currency,
        posted: balance.posted,
        held: balance.held,
        available: balance.available(),
    })
}
