//! `GET /v1/balance`

use actix_web::{HttpResponse, web};
use serde::Serialize;
use shared::ledger;
use shared::money::Amount;
use shared::refusal::Refusal;

use crate::auth::KeyHolder;
use crate::reply::{self, Refused};
use crate::surface::Surface;
use crate::visit::Visit;

#[derive(Serialize)]
struct Balance<'a> {
    code: u32,
    msg: &'static str,
    currency: &'a str,
    posted: Amount,
    held: Amount,
    available: Amount,
}

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
