//! `/top-ups/{id}/reverse`: a top-up taken back, by a new transfer, as far as the money is there. The transfer's id is made when the form is
//! rendered, so the same form twice is one reversal; and a top-up is reversed once, whoever asks.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path};
use askama::Template;
use serde::Deserialize;
use serde_json::json;
use shared::audit_log::{self, Entry};
use shared::id::TransferId;
use shared::ledger::{self, Balance, TopUpReversal};
use shared::money::Amount;
use shared::top_ups::{self, LONGEST_REASON, TopUpError, TopUpRecord};

use super::{failed, find};
use crate::frame::failure::{Failed, Handled, Problem};
use crate::frame::once;
use crate::frame::page::{self, Page, go_to};
use crate::frame::posted::Posted;
use crate::frame::wrongs::Wrongs;
use crate::panel::Panel;
use crate::panel::access::{May, MoveMoney};

/// What the form sends.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::panel) struct Fields {
    once: String,
    /// What the page said would be taken back.
    recovered: String,
    reason: String,
}

#[derive(Template)]
#[template(path = "panel/top_ups/reverse.html")]
struct Confirmation<'a> {
    page: &'a Page,
    top_up: &'a TopUpRecord,
    once: TransferId,
    reason: &'a str,
    wrongs: Wrongs,
    balance: Balance,
    /// What can be taken back now.
    recovered: Amount,
    /// What of the top-up is not there any more.
    not_recovered: Amount,
    /// The balance once that is taken back.
    after: Amount,
    /// It was another amount when the form was sent than when it was made.
    has_moved: bool,
    /// Nothing was there when the form was sent.
    in_vain: bool,
    /// The form was open for too long.
    stale: bool,
}

/// Says what a reversal would take back now, and what not.
pub(in crate::panel) async fn ask_to_reverse(
    request: HttpRequest,
    staff: May<MoveMoney>,
    panel: Data<Panel>,
    id: Path<String>,
) -> Handled {
    let top_up = find(&request, &panel, &id).await?;
    if top_up.reversal.is_some() {
        return go_to(format!("/top-ups/{}", top_up.id));
    }
    let page = &staff.page;
    let form = confirmation(&request, &panel, page, &top_up, TransferId::new(), "").await?;
    page::show(&request, page, &form)
}

/// Takes it back.
pub(in crate::panel) async fn reverse(
    request: HttpRequest,
    staff: May<MoveMoney>,
    panel: Data<Panel>,
    id: Path<String>,
    Posted(fields): Posted<Fields>,
) -> Handled {
    let (page, top_up, now) = (&staff.page, find(&request, &panel, &id).await?, staff.now);
    let (given, confirmed) = (once::transfer(&fields.once, now), fields.recovered.parse::<Amount>().ok());
    let mut wrongs = Wrongs::default();
    if top_ups::check_reason(&fields.reason).is_err() {
        let english = format!("A reversal needs a reason: one line of at most {LONGEST_REASON} characters.");
        let chinese = format!("冲正必须填写原因：一行文字，不超过 {LONGEST_REASON} 个字符。");
        wrongs.add("reason", page.say(&english, &chinese));
    }
    let (Some(once), Some(confirmed), true) = (given, confirmed, wrongs.is_empty()) else {
        let form = confirmation(&request, &panel, page, &top_up, given.unwrap_or_default(), &fields.reason).await?;
        let (stale, has_moved) = (given.is_none(), confirmed != Some(form.recovered));
        return page::show_again(&request, page, &Confirmation { stale, has_moved, wrongs, ..form });
    };
    let (transfer, of, origin, why) = (top_up.id, top_up.tenant, staff.origin(), fields.reason.clone());
    let reversed = staff.write(&request, &panel, move |connection| {
        let reversal = top_ups::reverse_as_confirmed(connection, once, transfer, confirmed, &why, now)?;
        if let TopUpReversal::Reversed { id, recovered, not_recovered, posted, replayed: false } = reversal {
            let entry = Entry {
                action: "top_up.reverse",
                tenant: Some(of),
                subject: &transfer.to_string(),
                // Not read before: calls could have been charged between the reading and the reversal.
                before: Some(json!({"posted": posted.checked_add(recovered)})),
                after: Some(json!({
                    "posted": posted,
                    "reversal": id,
                    "recovered": recovered,
                    "not_recovered": not_recovered,
                    "reason": why.trim(),
                })),
            };
            audit_log::record(connection, &origin, &entry, now)?;
        }
        Ok::<_, TopUpError>(reversal)
    });
    let reversed = match reversed.await? {
        Err(TopUpError::NotAsConfirmed { .. }) => {
            let form = confirmation(&request, &panel, page, &top_up, once, &fields.reason).await?;
            return page::show_again(&request, page, &Confirmation { has_moved: true, ..form });
        }
        reversed => reversed.map_err(|error| failed(&request, error))?,
    };
    match reversed {
        TopUpReversal::Reversed { .. } => go_to(format!("/top-ups/{transfer}")),
        // Somebody else was first: what they took back is shown, and that it was them.
        TopUpReversal::AlreadyReversed { .. } => go_to(format!("/top-ups/{transfer}?reversed=before")),
        TopUpReversal::NothingAvailable { .. } => {
            let form = confirmation(&request, &panel, page, &top_up, once, &fields.reason).await?;
            page::show_again(&request, page, &Confirmation { in_vain: true, ..form })
        }
        TopUpReversal::NoSuchTopUp => Err(Failed::new(&request, Problem::NotFound)),
    }
}

async fn confirmation<'a>(
    request: &HttpRequest,
    panel: &Panel,
    page: &'a Page,
    top_up: &'a TopUpRecord,
    once: TransferId,
    reason: &'a str,
) -> Result<Confirmation<'a>, Failed> {
    let of = top_up.tenant;
    let balance = panel.database.read(move |connection| ledger::balance(connection, of)).await;
    let balance = balance.map_err(|error| Failed::database(request, &error))?;
    let balance = balance.ok_or_else(|| Failed::new(request, Problem::NotFound))?;
    let recovered = top_up.amount.min(balance.available());
    let less = |from: Amount| from.checked_sub(recovered).unwrap_or_default();
    let (not_recovered, after) = (less(top_up.amount), less(balance.posted));
    Ok(Confirmation {
        page,
        top_up,
        once,
        reason,
        wrongs: Wrongs::default(),
        balance,
        recovered,
        not_recovered,
        after,
        has_moved: false,
        in_vain: false,
        stale: false,
    })
}
