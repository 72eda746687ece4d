//! `/codes/{id}`: a batch, and which of its codes were redeemed by whom. The codes themselves nobody has any more but who holds them.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path};
use askama::Template;
use serde::{Deserialize, Serialize};
use shared::money::Amount;
use shared::staff::Right;
use shared::vouchers::{self, Batch, CodeRecord};

use super::find;
use crate::frame::failure::{Failed, Handled};
use crate::frame::page::{self, Page};
use crate::frame::paging::{self, PAGE};
use crate::panel::Panel;
use crate::panel::access::{May, Read};

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Filters {
    /// The number behind which the page begins.
    after: String,
}

#[derive(Template)]
#[template(path = "panel/codes/show.html")]
struct Shown<'a> {
    page: &'a Page,
    batch: &'a Batch,
    /// What was redeemed of it; nothing where that leaves the range.
    redeemed: Option<Amount>,
    codes: &'a [CodeRecord],
    is_first: bool,
    more: Option<String>,
    may_revoke: bool,
}

/// Shows it.
pub(in crate::panel) async fn show(
    request: HttpRequest,
    staff: May<Read>,
    panel: Data<Panel>,
    id: Path<String>,
) -> Handled {
    let (page, batch) = (&staff.page, find(&request, &panel, &id).await?);
    let filters: Filters = paging::filters(&request);
    let (id, after) = (batch.id, filters.after.parse().unwrap_or(0));
    let found = panel.database.read_records(move |connection| vouchers::codes(connection, id, after, PAGE)).await;
    let found = found.map_err(|error| Failed::database(&request, &error))?;
    let last = found.rows.last().filter(|_| found.has_more);
    let shown = Shown {
        page,
        redeemed: batch.value.nanos().checked_mul(batch.redeemed).map(Amount::from_nanos),
        is_first: after == 0,
        more: last.map(|last| paging::query_of(&filters, &[("after", &last.number.to_string())])),
        codes: &found.rows,
        may_revoke: staff.may(Right::ManageCodes) && batch.revoked.is_none(),
        batch: &batch,
    };
    page::show(&request, page, &shown)
}
