//! Channels, the ways to providers: all of them at a glance.

mod add;
mod ask;
pub(super) mod health;
mod show;
mod switch;

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use shared::calls::ChannelHealth;
use shared::catalogue::channel::{self, Channel};
use shared::staff::Right;

pub(super) use self::add::{add, form};
pub(super) use self::ask::ask;
pub(super) use self::show::show;
pub(super) use self::switch::{disable, enable};
use super::Panel;
use super::access::{May, Read};
use crate::frame::failure::{Failed, Handled};
use crate::frame::page::{self, Page};

#[derive(Template)]
#[template(path = "panel/channels/list.html")]
struct List<'a> {
    page: &'a Page,
    /// With how each has done in the last 15 minutes.
    channels: Vec<(Channel, ChannelHealth)>,
    may_manage: bool,
}

/// Lists them in the order in which they are tried.
pub(super) async fn list(request: HttpRequest, staff: May<Read>, panel: Data<Panel>) -> Handled {
    let now = staff.now;
    let read = panel.database.read_records(move |connection| {
        let mut health = health::recent(connection, now)?;
        let with_health = |channel: Channel| {
            let health = health.remove(&channel.name).unwrap_or_default();
            (channel, health)
        };
        Ok(channel::list(connection)?.into_iter().map(with_health).collect())
    });
    let mut channels: Vec<(Channel, ChannelHealth)> = read.await.map_err(|error| Failed::database(&request, &error))?;
    channels.sort_by_key(|(channel, _)| (!channel.enabled, channel.priority));
    let (page, may_manage) = (&staff.page, staff.may(Right::ManageChannels));
    page::show(&request, page, &List { page, channels, may_manage })
}
