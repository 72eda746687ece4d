//! Lets a person sign in no more, after a page that says what follows.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path};
use askama::Template;
use serde::Deserialize;
use shared::staff::{self, StaffError};

use super::super::Panel;
use super::super::access::{ManageStaff, May};
use super::role::id_of;
use super::{Typed, again, failed, last_owner};
use crate::frame::failure::{Failed, Handled, Problem};
use crate::frame::page::{self, Page};
use crate::frame::posted::Posted;
use crate::frame::wrongs::Wrongs;

/// Whether the page was seen.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::panel) struct Confirmation {
    confirmed: String,
}

#[derive(Template)]
#[template(path = "panel/staff/disable.html")]
struct Confirm<'a> {
    page: &'a Page,
    person: &'a staff::Staff,
    is_oneself: bool,
}

/// Asks whether it is meant; the second time disables.
pub(in crate::panel) async fn disable(
    request: HttpRequest,
    staff: May<ManageStaff>,
    panel: Data<Panel>,
    id: Path<String>,
    Posted(confirmation): Posted<Confirmation>,
) -> Handled {
    let id = id_of(&request, &id)?;
    if confirmation.confirmed != "yes" {
        let read = panel.database.read(move |connection| staff::find(connection, id)).await;
        let found = read.map_err(|error| Failed::database(&request, &error))?;
        let person = &found.ok_or_else(|| Failed::new(&request, Problem::NotFound))?;
        let (page, is_oneself) = (&staff.page, id == staff.staff.id);
        return page::show(&request, page, &Confirm { page, person, is_oneself });
    }
    let (origin, now) = (staff.origin(), staff.now);
    let written = staff.write(&request, &panel, move |connection| {
        if staff::find(connection, id)?.is_some_and(|person| person.disabled_at.is_some()) {
            return Ok(());
        }
        staff::disable(connection, id, &origin, now).map(drop)
    });
    match written.await? {
        Ok(()) => page::go_to("/staff"),
        Err(StaffError::LastOwner) => {
            again(&request, &staff, &panel, Typed::default(), &Wrongs::default(), last_owner(&staff.page)).await
        }
        Err(error) => Err(failed(&request, error)),
    }
}
