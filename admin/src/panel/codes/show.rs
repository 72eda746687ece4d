//! `/codes/{id}`: a batch, and which of its codes were redeemed by whom. The codes themselves nobody has any more but who holds them.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path};
use askama::Template;
use shared::money::Amount;
use shared::staff::Right;
use shared::vouchers::{self, Batch, CodeRecord};

use super::find;
use crate::frame::failure::{Failed, Handled};
use crate::frame::page::{self, Page};
use crate::frame::paging::{PAGE, Pager, Place};
use crate::panel::Panel;
use crate::panel::access::{May, Read};

#[derive(Template)]
#[template(path = "panel/codes/show.html")]
struct Shown<'a> {
    page: &'a Page,
    batch: &'a Batch,
    /// What was redeemed of it; nothing where that leaves the range.
    redeemed: Option<Amount>,
    codes: &'a [CodeRecord],
    pager: Pager,
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
    let place = Place::asked(&request);
    let (id, cursor) = (batch.id, place.cursor());
    let found = panel.database.read_records(move |connection| vouchers::codes(connection, id, cursor, PAGE)).await;
    let found = found.map_err(|error| Failed::database(&request, &error))?;
    let path = format!("/codes/{id}");
    let shown = Shown {
        page,
        redeemed: batch.value.nanos().checked_mul(batch.redeemed).map(Amount::from_nanos),
        pager: Pager::of(path, &(), &place, &found, |code| code.number.to_string()).numbered(),
        codes: &found.rows,
        may_revoke: staff.may(Right::ManageCodes) && batch.revoked.is_none(),
        batch: &batch,
    };
    page::show(&request, page, &shown)
}
