//! `GET` and `POST /v1/dashboard/billing/credit_grants`: the original service's balance.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use shared::admission::request::Body;
use shared::keyring::Caller;
use shared::ledger;
use shared::money::Amount;
use shared::refusal::Refusal;

use crate::auth::{self, KeyHolder};
use crate::body::{self, Received};
use crate::call;
use crate::number::Units;
use crate::reply::{self, Refused};
use crate::surface::Surface;
use crate::visit::Visit;

#[derive(Serialize)]
struct CreditSummary {
    code: u32,
    msg: &'static str,
    object: &'static str,
    grants: Grants,
    total_granted: Units,
    total_used: Units,
    total_available: Units,
}

#[derive(Serialize)]
struct Grants {
    available_amount: Amount,
}

pub(crate) async fn get(
    KeyHolder(caller): KeyHolder,
    surface: web::Data<Surface>,
    visit: Visit,
) -> Result<HttpResponse, Refused> {
    summary(&caller, &surface, &visit).await
}

/// The same with the key in a JSON body, as the original service's clients send it. With a key in a header no body is needed.
pub(crate) async fn post(
    surface: web::Data<Surface>,
    visit: Visit,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Refused> {
    let Received { bytes, caller } = body::receive(&surface, &visit, &request, payload.into_inner()).await?;
    let body = if bytes.is_empty() { None } else { Some(Body::parse(&bytes)?) };
    let caller = match (caller, &body) {
        (Some(caller), _) => caller,
        (None, Some(body)) => call::key_in_body(&surface, &visit, &request, body).await?,
        (None, None) => return Err(auth::missing().into()),
    };
    summary(&caller, &surface, &visit).await
}

async fn summary(caller: &Caller, surface: &Surface, visit: &Visit) -> Result<HttpResponse, Refused> {
    let tenant = caller.tenant;
    let totals = surface
        .read(visit, move |connection| ledger::totals(connection, tenant))
        .await?
        .ok_or_else(Refusal::internal)?;
    let available = totals.balance.available();
    reply::json(&CreditSummary {
        code: 0,
        msg: "ok",
        object: "credit_summary",
        grants: Grants { available_amount: available },
        total_granted: Units(totals.granted),
        total_used: Units(totals.used),
        total_available: Units(available),
    })
}
