//! `GET /v1/usage`: what was charged in a period, in groups.

use actix_web::{HttpRequest, HttpResponse, web};
use chrono_tz::Tz;
use serde::Serialize;
use shared::clock::Timestamp;
use shared::db::Connection;
use shared::ledger::{self, Grouping, UsageRow};
use shared::money::Amount;
use shared::refusal::{Reason, Refusal};
use utoipa::ToSchema;

use crate::auth::KeyHolder;
use crate::description::{GroupBy, Moment, Money, QueryRefusals};
use crate::reply::{self, Refused};
use crate::surface::Surface;
use crate::visit::Visit;
use crate::{period, query};

/// The most groups in a reply. Days never reach it; models, keys and end users may.
const MOST_GROUPS: usize = 1000;

/// What was charged in a period.
#[derive(Serialize, ToSchema)]
pub(crate) struct Usage {
    code: u32,
    msg: &'static str,
    object: &'static str,
    #[schema(max_items = 1000)]
    data: Vec<Group>,
    /// Whether there are more than these 1000 groups; a shorter period shows them.
    has_more: bool,
    /// Always `null`.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// What belongs together.
#[derive(Serialize, ToSchema)]
#[schema(as = UsageGroup)]
struct Group {
    /// The day, the model, the key's id or the end user; empty for calls without one.
    group: String,
    requests: i64,
    prompt_tokens: i64,
    completion_tokens: i64,
    images: i64,
    #[schema(value_type = Money)]
    amount: Amount,
}

impl From<UsageRow> for Group {
    fn from(row: UsageRow) -> Self {
        let UsageRow { group, requests, prompt_tokens, completion_tokens, images, amount } = row;
        Self { group, requests, prompt_tokens, completion_tokens, images, amount }
    }
}

/// What was charged, in groups
///
/// A key sees its own calls; one that was issued with `--console tenant` all of the account's. A period has at most 366 days. End users are
/// known for some time (400 days, unless the service is set otherwise): a period by `user` that begins before is refused, and the message names
/// the day from which on they are.
#[utoipa::path(
    get, path = "/v1/usage", tag = "records", operation_id = "getUsage",
    params(
        ("from" = Option<Moment>, Query, description = "When it begins; 30 days before its end if it is not given.",
         example = json!("2026-01-01")),
        ("to" = Option<Moment>, Query, description = "When it ends, exclusive; now if it is not given.",
         example = json!("2026-01-31T08:00:00+08:00")),
        ("group_by" = Option<GroupBy>, Query, description = "What belongs together."),
    ),
    responses(
        (status = 200, description = "The groups, in their order.", body = Usage, example = json!({
            "code": 0, "msg": "", "object": "list", "has_more": false, "next_cursor": null,
            "data": [{
                "group": "2026-01-31", "requests": 2, "prompt_tokens": 10, "completion_tokens": 10, "images": 1, "amount": "0.3004",
            }],
        })),
        QueryRefusals,
    ),
)]
pub(crate) async fn get(
    KeyHolder(caller): KeyHolder,
    surface: web::Data<Surface>,
    visit: Visit,
    request: HttpRequest,
) -> Result<HttpResponse, Refused> {
    let [from, to, group_by] = query::read(&request, ["from", "to", "group_by"])?;
    let (zone, now) = (surface.deployment.settings.timezone, surface.deployment.clock.now());
    let period = period::between(("from", from.as_deref()), ("to", to.as_deref()), zone, now)?;
    let grouping = grouping(group_by.as_deref(), zone)?;
    let (tenant, key) = (caller.tenant, caller.sees_only());
    let read = move |connection: &mut Connection| {
        // One more, to know whether there are more.
        ledger::usage(connection, tenant, key, period, grouping, MOST_GROUPS + 1)
    };
    let usage = surface.read(&visit, read).await?;
    if let Some(known_from) = usage.known_from {
        return Err(Refused::from(unknown_users(known_from, zone)));
    }
    reply::json(&Usage::of(usage.rows))
}

/// Sums without the days in which end users are not known would pass for those of the whole period.
fn unknown_users(known_from: Timestamp, zone: Tz) -> Refusal {
    let day = period::day_of(known_from, zone);
    let message = format!("end users are known from {day} on; ask for a period that begins then or later, with from");
    Refusal::of_field(Reason::InvalidParameter, "from", message)
}

impl Usage {
    /// The first groups, and whether there are more. A shorter period shows the others.
    fn of(rows: Vec<UsageRow>) -> Self {
        let has_more = rows.len() > MOST_GROUPS;
        let data = rows.into_iter().take(MOST_GROUPS).map(Group::from).collect();
        Self { code: 0, msg: "", object: "list", data, has_more, next_cursor: None }
    }
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, 0, false)]
    #[case(1000, 1000, false)]
    #[case(1001, 1000, true)]
    fn a_reply_is_bounded(#[case] rows: i64, #[case] shown: usize, #[case] has_more: bool) {
        let row = |requests| UsageRow {
            group: format!("user {requests:04}"),
            requests,
            prompt_tokens: 0,
            completion_tokens: 0,
            images: 0,
            amount: Amount::ZERO,
        };
        let usage = Usage::of((0..rows).map(row).collect());
        assert_eq!((usage.data.len(), usage.has_more), (shown, has_more));
        assert!(usage.data.iter().map(|group| group.requests).eq(0..rows.min(1000)), "the first ones, in order");
    }
}
