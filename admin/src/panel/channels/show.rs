//! One channel: what it serves, where it leads, and what may be done with it.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path};
use askama::Template;
use shared::calls::ChannelHealth;
use shared::catalogue::channel::{self, Channel, ChannelError};
use shared::staff::Right;

use super::super::access::{May, Read};
use super::super::tenants::choice::findable;
use super::super::{ChannelAnswer, Panel};
use super::health;
use crate::frame::failure::{Failed, Handled, Problem};
use crate::frame::page::{self, Page};

#[derive(Template)]
#[template(path = "panel/channels/show.html")]
struct Show<'a> {
    page: &'a Page,
    channel: &'a Channel,
    /// In the last 15 minutes, and in the last 24 hours.
    health: [ChannelHealth; 2],
    may_manage: bool,
    answer: Option<ChannelAnswer>,
}

/// Shows it.
pub(in crate::panel) async fn show(
    request: HttpRequest,
    staff: May<Read>,
    panel: Data<Panel>,
    name: Path<String>,
) -> Handled {
    let channel = find(&request, &panel, name.into_inner()).await?;
    send(&request, &staff, &panel, &channel, None).await
}

/// The channel of a path.
pub(super) async fn find(request: &HttpRequest, panel: &Panel, name: String) -> Result<Channel, Failed> {
    let name = findable(&name);
    let read = panel.database.read_records(move |connection| Ok(channel::named(connection, &name))).await;
    read.map_err(|error| Failed::database(request, &error))?.map_err(|error| failed(request, error))
}

/// What a failure about a channel that is there, or not, means for a page.
pub(super) fn failed(request: &HttpRequest, error: ChannelError) -> Failed {
    match error {
        ChannelError::Unknown(_) => Failed::new(request, Problem::NotFound),
        ChannelError::Database(error) => Failed::database(request, &error),
        error => Failed::internal(request, error),
    }
}

/// Sends its page, with what it answered if it was asked just now.
pub(super) async fn send<R>(
    request: &HttpRequest,
    staff: &May<R>,
    panel: &Panel,
    channel: &Channel,
    answer: Option<ChannelAnswer>,
) -> Handled {
    let (name, now) = (channel.name.clone(), staff.now);
    let read = panel.database.read_records(move |connection| {
        let [mut recent, mut day] = [health::recent(connection, now)?, health::of_a_day(connection, now)?];
        Ok([recent.remove(&name).unwrap_or_default(), day.remove(&name).unwrap_or_default()])
    });
    let health = read.await.map_err(|error| Failed::database(request, &error))?;
    let (page, may_manage) = (&staff.page, staff.may(Right::ManageChannels));
    page::show(request, page, &Show { page, channel, health, may_manage, answer })
}
