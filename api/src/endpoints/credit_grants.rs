//! `GET` and `POST /v1/dashboard/billing/credit_grants`: the original service's balance.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use shared::admission::request::Body;
use shared::keyring::Caller;
use shared::ledger;
use shared::money::Amount;
use shared::refusal::Refusal;
use utoipa::ToSchema;

use crate::auth::{self, KeyHolder};
use crate::body::{self, Received};
use crate::call;
use crate::description::{KeyedReadRefusals, KeyedRequest, Money, ReadRefusals};
use crate::number::Units;
use crate::reply::{self, Refused};
use crate::surface::Surface;
use crate::visit::Visit;

/// The balance, as the original service told it.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreditSummary {
    code: u32,
    msg: &'static str,
    object: &'static str,
    grants: Grants,
    /// All that was ever paid in.
    total_granted: Units,
    /// All that was ever charged.
    total_used: Units,
    /// What a new call may cost at most.
    total_available: Units,
}

/// What is left.
#[derive(Serialize, ToSchema)]
struct Grants {
    #[schema(value_type = Money)]
    available_amount: Amount,
}

/// The balance, as the original service told it
#[utoipa::path(
    get, path = "/v1/dashboard/billing/credit_grants", tag = "billing", operation_id = "getCreditGrants",
    responses(
        (status = 200, description = "The account's balance.", body = CreditSummary, example = json!({
            "code": 0, "msg": "ok", "object": "credit_summary", "grants": {"available_amount": "111.8658"},
            "total_granted": 200, "total_used": 88.1342, "total_available": 111.8658,
        })),
        ReadRefusals,
    ),
)]
pub(crate) async fn get(
    KeyHolder(caller): KeyHolder,
    surface: web::Data<Surface>,
    visit: Visit,
) -> Result<HttpResponse, Refused> {
    summary(&caller, &surface, &visit).await
}

/// The same with the key in the body
///
/// As the original service's clients send it. With a key in a header no body is needed.
#[utoipa::path(
    post, path = "/v1/dashboard/billing/credit_grants", tag = "billing", operation_id = "postCreditGrants",
    request_body(content = KeyedRequest, example = json!({"api_secret_key": "sk-xy..."})),
    responses(
        (status = 200, description = "The account's balance.", body = CreditSummary, example = json!({
            "code": 0, "msg": "ok", "object": "credit_summary", "grants": {"available_amount": "111.8658"},
            "total_granted": 200, "total_used": 88.1342, "total_available": 111.8658,
        })),
        KeyedReadRefusals,
    ),
)]
pub(crate) async fn post(
    surface: web::Data<Surface>,
    visit: Visit,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Refused> {
    let Received { bytes, caller, share: _share } =
        body::receive(&surface, &visit, &request, payload.into_inner()).await?;
    let body = if bytes.is_empty() { None } else { Some(Body::parse(&bytes)?) };
    let caller = match (caller, &body) {
        (Some(caller), Some(body)) => {
            body.api_secret_key()?;
            caller
        }
        (Some(caller), None) => caller,
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
