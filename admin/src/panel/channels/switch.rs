//! Uses a channel again, or no more.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path};
use askama::Template;
use serde::Deserialize;
use shared::catalogue::changes;
use shared::catalogue::channel::{self, ChannelError};

use super::super::Panel;
use super::super::access::{ManageChannels, May};
use super::super::tenants::choice::findable;
use super::show::failed;
use crate::frame::failure::Handled;
use crate::frame::page::{self, Page};
use crate::frame::posted::{Nothing, Posted};

/// Uses it again.
pub(in crate::panel) async fn enable(
    request: HttpRequest,
    staff: May<ManageChannels>,
    panel: Data<Panel>,
    name: Path<String>,
    _: Posted<Nothing>,
) -> Handled {
    let (origin, now, name) = (staff.origin(), staff.now, findable(&name));
    let to = staff.page.path("/channels", &name);
    let enable = move |connection: &mut _| changes::switch_channel(connection, &name, true, &origin, now);
    staff.write(&request, &panel, enable).await?.map_err(|error| failed(&request, error))?;
    page::go_to(to)
}

/// Whether somebody has seen what follows.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::panel) struct Confirmation {
    confirmed: String,
}

#[derive(Template)]
#[template(path = "panel/channels/disable.html")]
struct Confirm<'a> {
    page: &'a Page,
    name: &'a str,
    models: Vec<String>,
}

/// Uses it no more; where nothing else serves a model, only once that was seen.
pub(in crate::panel) async fn disable(
    request: HttpRequest,
    staff: May<ManageChannels>,
    panel: Data<Panel>,
    name: Path<String>,
    Posted(confirmation): Posted<Confirmation>,
) -> Handled {
    let (origin, now, name) = (staff.origin(), staff.now, findable(&name));
    let (subject, is_confirmed) = (name.clone(), confirmation.confirmed == "yes");
    let written = staff.write(&request, &panel, move |connection| {
        let channel = channel::named(connection, &subject)?;
        let models = channel::served_by_it_alone(connection, &channel)?;
        if !models.is_empty() && !is_confirmed {
            return Ok(Some(models));
        }
        changes::switch_channel(connection, &subject, false, &origin, now)?;
        Ok::<_, ChannelError>(None)
    });
    let page = &staff.page;
    match written.await?.map_err(|error| failed(&request, error))? {
        None => page::go_to(page.path("/channels", &name)),
        Some(models) => page::show(&request, page, &Confirm { page, name: &name, models }),
    }
}
