//! One model: its price now and before, and the channels that serve it.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path};
use askama::Template;
use shared::catalogue::channel::{self, Channel};
use shared::catalogue::price_list;
use shared::clock::Timestamp;
use shared::db::{Connection, DbError};
use shared::page::{Cursor, Page as Found};
use shared::price::{Price, PriceVersion};
use shared::staff::Right;
use shared::values;

use super::super::Panel;
use super::super::access::{May, Read};
use super::price::Fields;
use super::ways;
use crate::frame::failure::{Failed, Handled, Problem};
use crate::frame::page::{self, Page};
use crate::frame::paging::{PAGE, Pager, Place};
use crate::frame::wrongs::Wrongs;

/// A model as its page shows it.
pub(super) struct Model {
    pub(super) price: Price,
    channels: Vec<Channel>,
    /// Of its own price; of the default one if it has none.
    versions: Found<(Timestamp, Price)>,
}

#[derive(Template)]
#[template(path = "panel/models/show.html")]
struct Show<'a> {
    page: &'a Page,
    model: &'a Model,
    name: &'a str,
    ways: Vec<(&'a Channel, bool)>,
    may_price: bool,
    fields: &'a Fields,
    wrongs: &'a Wrongs,
    pager: Pager,
}

/// Shows it.
pub(in crate::panel) async fn show(
    request: HttpRequest,
    staff: May<Read>,
    panel: Data<Panel>,
    name: Path<String>,
) -> Handled {
    let place = Place::asked(&request);
    let name = named(&request, name.into_inner())?;
    let model = read(&request, &panel, &name, &place).await?;
    let (fields, wrongs) = (Fields::of(&model.price), Wrongs::default());
    let template = template(&staff, &model, &fields, &wrongs, &place);
    page::show(&request, &staff.page, &template)
}

/// Shows it again, with what is wrong with a price that was typed.
pub(super) async fn again<R>(
    request: &HttpRequest,
    staff: &May<R>,
    panel: &Panel,
    name: &str,
    fields: &Fields,
    wrongs: &Wrongs,
) -> Handled {
    let place = Place::default();
    let model = read(request, panel, name, &place).await?;
    page::show_again(request, &staff.page, &template(staff, &model, fields, wrongs, &place))
}

/// The name of a path; any that a model can have, since a price may be set before a channel is there.
pub(super) fn named(request: &HttpRequest, name: String) -> Result<String, Failed> {
    match values::model(&name) {
        Ok(read) if read == name => Ok(name),
        _ => Err(Failed::new(request, Problem::NotFound)),
    }
}

fn template<'a, R>(
    staff: &'a May<R>,
    model: &'a Model,
    fields: &'a Fields,
    wrongs: &'a Wrongs,
    place: &Place,
) -> Show<'a> {
    let ways = ways(&model.channels, &model.price.model).collect();
    let may_price = staff.may(Right::ManagePrices);
    let (page, name) = (&staff.page, &model.price.model);
    let version = |(_, price): &(Timestamp, Price)| price.version.to_string();
    let pager = Pager::of(page.path("/models", name), &(), place, &model.versions, version);
    Show { page, model, name, ways, may_price, fields, wrongs, pager }
}

async fn read(request: &HttpRequest, panel: &Panel, name: &str, place: &Place) -> Result<Model, Failed> {
    let (name, cursor) = (name.to_owned(), place.cursor().map(PriceVersion));
    let read = panel.database.read_records(move |connection| model(connection, &name, cursor)).await;
    read.map_err(|error| Failed::database(request, &error))
}

fn model(connection: &mut Connection, name: &str, cursor: Cursor<PriceVersion>) -> Result<Model, DbError> {
    let price = present(connection, name)?;
    let whose = (!price.is_default).then_some(name);
    let versions = price_list::history(connection, whose, cursor, PAGE)?;
    Ok(Model { price, channels: channel::list(connection)?, versions })
}

/// The price of a model now.
pub(super) fn present(connection: &mut Connection, name: &str) -> Result<Price, DbError> {
    price_list::of_model(connection, name)?.ok_or_else(|| DbError::Corrupt("there is no default price".to_owned()))
}
