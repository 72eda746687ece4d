//! `GET /v1/usage`: what was charged in a period, in groups.

use actix_web::{HttpRequest, HttpResponse, web};
use chrono_tz::Tz;
use serde::Serialize;
use shared::ledger::{self, Grouping, UsageRow};
use shared::money::Amount;
use shared::refusal::{Reason, Refusal};

use crate::auth::KeyHolder;
use crate::reply::{self, Refused};
use crate::surface::Surface;
use crate::visit::Visit;
use crate::{period, query};

/// The most groups in a reply. Days never reach it; models, keys and end users may.
const MOST_GROUPS: usize = 1000;

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
    let [from, to, group_by] = query::read(&request, ["from", "to", "group_by"])?;
    let (zone, now) = (surface.deployment.settings.timezone, surface.deployment.clock.now());
    let period = period::between(("from", from.as_deref()), ("to", to.as_deref()), zone, now)?;
    let grouping = grouping(group_by.as_deref(), zone)?;
    let (tenant, key) = (caller.tenant, caller.sees_only());
    let rows = surface.read(&visit, move |connection| ledger::usage(connection, tenant, key, period, grouping)).await?;
    reply::json(&Usage::of(rows))
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
