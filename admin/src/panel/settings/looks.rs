//! How the panel looks to a person: its language and its colours.

use actix_web::HttpRequest;
use actix_web::web::Data;
use serde::Deserialize;
use shared::staff::{self, Language, Theme};

use super::super::Panel;
use super::super::access::{Anybody, May};
use super::super::staff::failed;
use crate::frame::failure::{Failed, Handled, Problem};
use crate::frame::page;
use crate::frame::posted::Posted;

/// What is chosen; the other is empty.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::panel) struct Fields {
    language: String,
    theme: String,
}

/// Sets the language.
pub(in crate::panel) async fn set_language(
    request: HttpRequest,
    staff: May<Anybody>,
    panel: Data<Panel>,
    Posted(fields): Posted<Fields>,
) -> Handled {
    let language: Language = fields.language.parse().map_err(|_| no_choice(&request))?;
    let (id, origin, now) = (staff.staff.id, staff.origin(), staff.now);
    if language != staff.staff.language {
        let set = move |connection: &mut _| staff::set_language(connection, id, language, &origin, now);
        staff.write(&request, &panel, set).await?.map_err(|error| failed(&request, error))?;
    }
    page::go_to("/settings?done=language")
}

/// Sets the colours.
pub(in crate::panel) async fn set_theme(
    request: HttpRequest,
    staff: May<Anybody>,
    panel: Data<Panel>,
    Posted(fields): Posted<Fields>,
) -> Handled {
    let theme: Theme = fields.theme.parse().map_err(|_| no_choice(&request))?;
    let (id, origin, now) = (staff.staff.id, staff.origin(), staff.now);
    if theme != staff.staff.theme {
        let set = move |connection: &mut _| staff::set_theme(connection, id, theme, &origin, now);
        staff.write(&request, &panel, set).await?.map_err(|error| failed(&request, error))?;
    }
    page::go_to("/settings?done=theme")
}

fn no_choice(request: &HttpRequest) -> Failed {
    Failed::new(request, Problem::Wrong("There is no such choice.".to_owned(), "没有该选项。".to_owned()))
}
