//! Gives a person another role.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path};
use serde::Deserialize;
use shared::id::StaffId;
use shared::staff::{self, Role, StaffError};

use super::super::Panel;
use super::super::access::{ManageStaff, May};
use super::{Typed, again, failed, last_owner};
use crate::frame::failure::{Failed, Handled, Problem};
use crate::frame::page;
use crate::frame::posted::Posted;
use crate::frame::wrongs::Wrongs;

/// What is chosen.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::panel) struct Fields {
    role: String,
}

/// Gives it; it counts from the person's next click on.
pub(in crate::panel) async fn change(
    request: HttpRequest,
    staff: May<ManageStaff>,
    panel: Data<Panel>,
    id: Path<String>,
    Posted(fields): Posted<Fields>,
) -> Handled {
    let id = id_of(&request, &id)?;
    let Ok(role) = fields.role.parse::<Role>() else {
        return Err(Failed::new(
            &request,
            Problem::Wrong("There is no such role.".to_owned(), "没有该角色。".to_owned()),
        ));
    };
    let (origin, now) = (staff.origin(), staff.now);
    let written = staff.write(&request, &panel, move |connection| {
        if staff::find(connection, id)?.is_some_and(|person| person.role == role) {
            return Ok(());
        }
        staff::change_role(connection, id, role, &origin, now).map(drop)
    });
    match written.await? {
        // Who is no owner any more may not see the list either.
        Ok(()) if id == staff.staff.id && role != Role::Owner => page::go_to("/dashboard"),
        Ok(()) => page::go_to("/staff"),
        Err(StaffError::LastOwner) => {
            again(&request, &staff, &panel, Typed::default(), &Wrongs::default(), last_owner(&staff.page)).await
        }
        Err(error) => Err(failed(&request, error)),
    }
}

/// The account of a path.
pub(super) fn id_of(request: &HttpRequest, text: &str) -> Result<StaffId, Failed> {
    text.parse().map(StaffId).map_err(|_| Failed::new(request, Problem::NotFound))
}
