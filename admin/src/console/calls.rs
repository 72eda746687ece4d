//! The calls that a session may see, with what each cost; and the same as a file.

mod export;

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use serde::{Deserialize, Serialize};
use shared::calls::{self, CallFilter, CallRow, CallTotals};
use shared::id::RequestId;

pub(super) use self::export::export;

use super::Console;
use super::access::Developer;
use crate::frame::failure::{Failed, Handled};
use crate::frame::moment;
use crate::frame::page::{self, Page};
use crate::frame::paging::{self, PAGE, Place, query_of};
use crate::frame::words;

/// What a form of filters may choose as a status, in the order of the choices.
const STATUSES: [&str; 2] = ["answered", "failed"];

/// The page's filters, as they stand in its address.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Filters {
    model: String,
    user: String,
    /// Not empty: those that name no end user.
    unnamed: String,
    status: String,
    /// The first day.
    from: String,
    /// The last day.
    to: String,
}

#[derive(Template)]
#[template(path = "console/calls.html")]
struct Calls<'a> {
    page: &'a Page,
    developer: &'a Developer,
    filters: &'a Filters,
    /// Whether something of the filters could not be read, and is not heeded.
    is_unread: bool,
    rows: Vec<CallRow>,
    totals: CallTotals,
    older: Option<String>,
    newer: Option<String>,
    /// The query of the file with the same filters.
    query: String,
}

/// Shows a page of them, newest first.
pub(super) async fn show(request: HttpRequest, developer: Developer, console: Data<Console>) -> Handled {
    let filters: Filters = paging::filters(&request);
    let (filter, is_unread) = filters.read(&developer);
    let cursor = Place::asked(&request).cursor();
    let read = console.database.read_records(move |connection| {
        Ok((calls::list(connection, &filter, cursor, PAGE)?, calls::totals(connection, &filter)?))
    });
    let (found, totals) = read.await.map_err(|error| Failed::database(&request, &error))?;
    let page = &developer.page;
    let around = |name, id: RequestId| query_of(&filters, &[(name, &id.to_string())]);
    let calls = Calls {
        page,
        developer: &developer,
        filters: &filters,
        is_unread,
        rows: found.rows,
        totals,
        older: found.older.map(|id| around("older", id)),
        newer: found.newer.map(|id| around("newer", id)),
        query: query_of(&filters, &[]),
    };
    page::show(&request, page, &calls)
}

impl Filters {
    /// The calls that they leave, and whether something of them could not be read.
    fn read(&self, developer: &Developer) -> (CallFilter, bool) {
        let zone = developer.page.zone();
        let day = |text: &str, days: i64| {
            let start = moment::read(text, zone)?;
            moment::day_of(start, days, zone)
        };
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let (status, from, to) = (self.status.parse().ok(), day(&self.from, 0), day(&self.to, 1));
        let is_both = !self.user.is_empty() && !self.unnamed.is_empty();
        let is_unread = is_both
            || [(&self.status, status.is_some()), (&self.from, from.is_some()), (&self.to, to.is_some())]
                .into_iter()
                .any(|(text, is_read)| !text.is_empty() && !is_read);
        let (tenant, key) = (Some(developer.tenant()), developer.sees_only());
        let model = given(&self.model);
        let end_user =
            if self.unnamed.is_empty() { given(&self.user) } else { Some(String::new()).filter(|_| !is_both) };
        (CallFilter { tenant, key, model, end_user, status, from, to }, is_unread)
    }
}
