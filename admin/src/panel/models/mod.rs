//! Models: what can be called, through which channels, and at what price.

mod price;
mod show;

use std::collections::BTreeSet;

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;
use shared::catalogue::channel::{self, Channel, ChannelKind};
use shared::catalogue::price_list;
use shared::db::{Connection, DbError};
use shared::price::Price;
use shared::values;

pub(super) use self::price::set;
pub(super) use self::show::show;
use super::Panel;
use super::access::{May, Read};
use crate::frame::failure::{Failed, Handled};
use crate::frame::page::{self, Page};
use crate::frame::paging;

/// Which model's page is wanted.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Wanted {
    name: String,
}

/// One model.
struct Model {
    price: Price,
    /// How many channels serve it now.
    ways: usize,
}

#[derive(Template)]
#[template(path = "panel/models/list.html")]
struct List<'a> {
    page: &'a Page,
    models: Vec<Model>,
    /// What was looked for and is no name of a model.
    no_name: Option<&'a str>,
}

/// Lists all that are served, known or priced; `?name=` leads to the page of one, also of one that is not.
pub(super) async fn list(request: HttpRequest, staff: May<Read>, panel: Data<Panel>) -> Handled {
    let wanted: Wanted = paging::filters(&request);
    if let Ok(name) = values::model(&wanted.name) {
        return page::go_to(staff.page.path("/models", &name));
    }
    let known = panel.settings.models.known.clone();
    let read = panel.database.read_records(move |connection| all(connection, known)).await;
    let models = read.map_err(|error| Failed::database(&request, &error))?;
    let no_name = Some(wanted.name.as_str()).filter(|name| !name.trim().is_empty());
    page::show(&request, &staff.page, &List { page: &staff.page, models, no_name })
}

fn all(connection: &mut Connection, known: Vec<String>) -> Result<Vec<Model>, DbError> {
    let channels = channel::list(connection)?;
    let own = price_list::current(connection)?;
    let default = price_list::default_price(connection)?;
    let served = channels.iter().flat_map(|channel| channel.models.keys().cloned());
    let names: BTreeSet<String> = served.chain(own.iter().map(|price| price.model.clone())).chain(known).collect();
    let price = |name: String| {
        let own = own.iter().find(|price| price.model == name).cloned();
        own.or_else(|| default.clone().map(|default| Price { model: name, ..default }))
    };
    let model =
        |price: Price| Model { ways: ways(&channels, &price.model).filter(|(_, serves)| *serves).count(), price };
    Ok(names.into_iter().filter_map(price).map(model).collect())
}

/// The channels that name a model, in the order in which they are tried, and whether each serves it now: echo never stands in for a
/// real provider.
fn ways<'a>(channels: &'a [Channel], model: &'a str) -> impl Iterator<Item = (&'a Channel, bool)> {
    let mut naming: Vec<&Channel> = channels.iter().filter(|channel| channel.models.contains_key(model)).collect();
    naming.sort_by_key(|channel| (!channel.enabled, channel.priority));
    let is_real = naming.iter().any(|channel| channel.enabled && channel.kind != ChannelKind::Echo);
    naming.into_iter().map(move |channel| (channel, channel.enabled && !(is_real && channel.kind == ChannelKind::Echo)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(id: i64, kind: ChannelKind, enabled: bool, priority: i64) -> Channel {
        Channel {
            id,
            name: id.to_string(),
            kind,
            base_url: String::new(),
            has_api_key: false,
            models: [("m".to_owned(), "m".to_owned())].into(),
            priority,
            weight: 1,
            enabled,
        }
    }

    #[test]
    fn echo_does_not_stand_in() {
        let found = |channels: &[Channel]| {
            ways(channels, "m").map(|(channel, serves)| (channel.id, serves)).collect::<Vec<_>>()
        };
        let (echo, real) = (channel(1, ChannelKind::Echo, true, 0), channel(2, ChannelKind::OpenAi, true, 9));
        assert_eq!(found(&[echo.clone(), real.clone()]), [(1, false), (2, true)]);
        assert_eq!(found(&[Channel { enabled: false, ..real }, echo]), [(1, true), (2, false)]);
        assert_eq!(ways(&[channel(1, ChannelKind::Echo, true, 0)], "other").count(), 0);
    }
}
