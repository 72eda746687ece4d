//! `/top-ups`: the top-ups of all tenants, newest first, with the sums of all that are filtered.

mod export;

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use shared::db::{Connection, DbError};
use shared::staff::Right;
use shared::top_ups::{self, TopUpFilter, TopUpRecord, TopUpSums};

pub(in crate::panel) use self::export::export;
use crate::frame::failure::{Failed, Handled};
use crate::frame::language::Language;
use crate::frame::page::{self, Page};
use crate::frame::paging::{self, PAGE, Pager, Place, query_of};
use crate::frame::wrongs::Wrongs;
use crate::panel::Panel;
use crate::panel::access::{May, Read};
use crate::panel::list_filters::{read_period, read_tenant};

/// What the address says. Empty is not asked for.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(default)]
struct Filters {
    /// An id, or a whole name.
    tenant: String,
    /// A part of it.
    reference: String,
    from: String,
    to: String,
}

impl Filters {
    /// Reads them; a tenant's name is looked up. What cannot be understood is left out, and said in `language`.
    fn understand(
        &self,
        connection: &mut Connection,
        language: Language,
        zone: Tz,
    ) -> Result<(TopUpFilter, Wrongs), DbError> {
        let mut wrongs = Wrongs::default();
        let tenant = read_tenant(connection, &self.tenant, language, &mut wrongs)?;
        let (from, to) = read_period(&self.from, &self.to, language, zone, &mut wrongs);
        let reference = self.reference.trim().to_owned();
        wrongs.check_part("reference", &reference, language);
        Ok((TopUpFilter { tenant, reference, from, to }, wrongs))
    }
}

#[derive(Template)]
#[template(path = "panel/top_ups/list.html")]
struct TopUps<'a> {
    page: &'a Page,
    filters: &'a Filters,
    wrongs: &'a Wrongs,
    rows: &'a [TopUpRecord],
    /// Of all pages.
    sums: TopUpSums,
    pager: Pager,
    is_first_page: bool,
    /// The address of the file.
    file: String,
    may_book: bool,
}

/// Lists them.
pub(in crate::panel) async fn list(request: HttpRequest, staff: May<Read>, panel: Data<Panel>) -> Handled {
    let (page, filters, place) = (&staff.page, paging::filters::<Filters>(&request), Place::asked(&request));
    let (wanted, cursor, language, zone) = (filters.clone(), place.cursor(), page.language, page.zone());
    let read = panel.database.read_records(move |connection| {
        let (filter, wrongs) = wanted.understand(connection, language, zone)?;
        let found = top_ups::page(connection, &filter, cursor, PAGE)?;
        Ok((found, top_ups::sums(connection, &filter)?, wrongs))
    });
    let (found, sums, wrongs) = read.await.map_err(|error| Failed::database(&request, &error))?;
    let top_ups = TopUps {
        page,
        filters: &filters,
        wrongs: &wrongs,
        rows: &found.rows,
        sums,
        pager: Pager::of("/top-ups", &filters, &place, &found, |row| row.id.to_string()),
        is_first_page: place.is_first(),
        file: format!("/top-ups.csv?{}", query_of(&filters, &[])),
        may_book: staff.may(Right::MoveMoney),
    };
    page::show(&request, page, &top_ups)
}
