//! The audit log: who did what, when, from where, and how it was before and after.

mod changes;
mod export;
mod words;

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use shared::audit_log::{self, Filter, Record};
use shared::db::{Connection, DbError};

use self::changes::{Change, changes};
pub(super) use self::export::export;
use super::Panel;
use super::access::{May, ReadAudit};
use super::tenants::choice::{self, findable};
use crate::frame::failure::{Failed, Handled};
use crate::frame::moment;
use crate::frame::page::{self, Page};
use crate::frame::paging::{self, query_of};
use crate::frame::wrongs::Wrongs;

/// What is looked for, as it stands in the address.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
struct Filters {
    actor: String,
    action: String,
    /// A tenant's id, or its name.
    tenant: String,
    subject: String,
    /// A day.
    from: String,
    /// A day; it counts too.
    to: String,
}

/// The number of the last entry of the page before.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Place {
    before: String,
}

/// An entry as it is shown.
struct Shown {
    record: Record,
    /// What was done, in words.
    words: Option<&'static str>,
    changes: Vec<Change>,
    /// The page of what it is about.
    link: Option<String>,
}

#[derive(Template)]
#[template(path = "panel/audit/list.html")]
struct List<'a> {
    page: &'a Page,
    filters: &'a Filters,
    wrongs: &'a Wrongs,
    entries: Vec<Shown>,
    is_first_page: bool,
    /// The queries of the page after this one, and of the file.
    older: Option<String>,
    newest: String,
    is_filtered: bool,
}

/// Shows it, the newest first.
pub(super) async fn list(request: HttpRequest, staff: May<ReadAudit>, panel: Data<Panel>) -> Handled {
    let (filters, Place { before }) = (paging::filters::<Filters>(&request), paging::filters(&request));
    let before: Option<i64> = before.parse().ok();
    let (wanted, zone) = (filters.clone(), panel.settings.timezone);
    let read = panel.database.read_records(move |connection| {
        let (filter, unread) = filter_of(connection, &wanted, zone)?;
        Ok((audit_log::page(connection, &filter, before, paging::PAGE + 1)?, unread))
    });
    let (mut records, unread) = read.await.map_err(|error| Failed::database(&request, &error))?;
    let has_older = paging::cut(&mut records);
    let page = &staff.page;
    let last = records.last().map(|record| record.id.to_string());
    let older = last.filter(|_| has_older).map(|last| query_of(&filters, &[("before", &last)]));
    let newest = query_of(&filters, &[]);
    let is_filtered = !newest.is_empty();
    let entries = records.into_iter().map(|record| shown(record, page)).collect();
    let (filters, wrongs, is_first_page) = (&filters, &left_out(&unread, page), before.is_none());
    page::show(&request, page, &List { page, filters, wrongs, entries, is_first_page, older, newest, is_filtered })
}

/// The filter that was meant, and the fields that cannot be read: those are left out of it.
fn filter_of(connection: &mut Connection, filters: &Filters, zone: Tz) -> Result<(Filter, Vec<&'static str>), DbError> {
    let mut unread = Vec::new();
    let text = |text: &str| Some(findable(text)).filter(|text| !text.is_empty());
    let tenant = match filters.tenant.trim() {
        "" => None,
        name => {
            let found = choice::filtered(connection, name)?;
            if found.is_none() {
                unread.push("tenant");
            }
            found
        }
    };
    let mut moment = |field: &'static str, text: &str| {
        let read = moment::read(text, zone);
        if read.is_none() && !text.trim().is_empty() {
            unread.push(field);
        }
        read
    };
    let (from, to) = (moment("from", &filters.from), moment("to", &filters.to));
    // The day that is named counts too.
    let to = if filters.to.contains('T') { to } else { to.and_then(|day| moment::day_of(day, 1, zone)) };
    let (actor, action, subject) = (text(&filters.actor), text(&filters.action), text(&filters.subject));
    Ok((Filter { actor, action, tenant, subject, from, to }, unread))
}

/// What is said about fields that were left out.
fn left_out(unread: &[&'static str], page: &Page) -> Wrongs {
    let mut wrongs = Wrongs::default();
    for field in unread {
        wrongs.add(
            field,
            match *field {
                "tenant" => page.say("No tenant has this id or name; left out.", "没有该编号或名称的客户；已忽略。"),
                _ => page.say("Not a day such as 2026-01-31; left out.", "不是日期（例如 2026-01-31）；已忽略。"),
            },
        );
    }
    wrongs
}

fn shown(record: Record, page: &Page) -> Shown {
    let changes = changes(record.before.as_ref(), record.after.as_ref());
    let words = words::words(&record.action).map(|(english, chinese)| page.say(english, chinese));
    let folder = match record.action.split('.').next() {
        Some("channel") => Some("/channels"),
        Some("codes") => Some("/codes"),
        Some("key") => Some("/keys"),
        Some("price") => Some("/models"),
        Some("top_up") => Some("/top-ups"),
        // A tenant has a link of its own; a person's page is for owners.
        _ => None,
    };
    let link = folder.map(|folder| page.path(folder, &record.subject));
    Shown { record, words, changes, link }
}
