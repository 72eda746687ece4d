//! `GET /v1/usage`: what was charged in a period, in groups.

use actix_web::{HttpRequest, HttpResponse, web};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use shared::ledger::{self, Grouping, UsageRow};
use shared::money::Amount;
use shared::refusal::{Reason, Refusal};

use crate::auth::KeyHolder;
use crate::period::{self, DAY_MS};
use crate::reply::{self, Refused};
use crate::surface::Surface;
use crate::visit::Visit;

/// The most days that are shown one by one.
const MOST_DAYS: i64 = 366;
/// So many local days can be longer than so many times 24 hours.
const SHIFTED_CLOCKS_MS: i64 = 7_200_000;

#[derive(Deserialize)]
struct Query {
    from: Option<String>,
    to: Option<String>,
    group_by: Option<String>,
}

#[derive(Serialize)]
struct Usage {
    code: u32,
    msg: &'static str,
    object: &'static str,
    data: Vec<Group>,
    has_more: bool,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct Group {
    group: String,
    requests: i64,
    prompt_tokens: i64,
    completion_tokens: i64,
    images: i64,
    amount: Amount,
}

impl From<UsageRow> for Group {
    fn from(row: UsageRow) -> Self {
        let UsageRow { group, requests, prompt_tokens, completion_tokens, images, amount } = row;
        Self { group, requests, prompt_tokens, completion_tokens, images, amount }
    }
}

pub(crate) async fn get(
    KeyHolder(caller): KeyHolder,
    surface: web::Data<Surface>,
    visit: Visit,
    request: HttpRequest,
) -> Result<HttpResponse, Refused> {
    let query: Query = period::query(&request)?;
    let (zone, now) = (surface.deployment.settings.timezone, surface.deployment.clock.now());
    let period = period::between(("from", query.from.as_deref()), ("to", query.to.as_deref()), zone, now)?;
    let grouping = grouping(query.group_by.as_deref(), zone)?;
    if matches!(grouping, Grouping::Day(_)) && period.1.since(period.0) > MOST_DAYS * DAY_MS + SHIFTED_CLOCKS_MS {
        let message =
            format!("by day, a period has at most {MOST_DAYS} days; ask for a shorter one, or group by model");
        return Err(Refusal::of_field(Reason::InvalidParameter, "from", message).into());
    }
    let (tenant, key) = (caller.tenant, caller.sees_only());
    let rows = surface.read(&visit, move |connection| ledger::usage(connection, tenant, key, period, grouping)).await?;
    let data = rows.into_iter().map(Group::from).collect();
    reply::json(&Usage { code: 0, msg: "", object: "list", data, has_more: false, next_cursor: None })
}

fn grouping(name: Option<&str>, zone: Tz) -> Result<Grouping, Refusal> {
    match name {
        None | Some("" | "day") => Ok(Grouping::Day(zone)),
        Some("model") => Ok(Grouping::Model),
        Some("key") => Ok(Grouping::Key),
        Some("user") => Ok(Grouping::User),
        Some(_) => {
            let message = "group_by must be day, model, key or user";
            Err(Refusal::of_field(Reason::InvalidParameter, "group_by", message))
        }
    }
}
