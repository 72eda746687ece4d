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
use super::list_filters::read_tenant;
use super::tenants::choice::findable;
use crate::frame::failure::{Failed, Handled};
use crate::frame::language::Language;
use crate::frame::moment;
use crate::frame::page::{self, Page};
use crate::frame::paging::{self, PAGE, Pager, Place, query, query_of};
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
    pager: Pager,
    /// The address of the file.
    file: String,
    is_filtered: bool,
}

/// Shows it, the newest first.
pub(super) async fn list(request: HttpRequest, staff: May<ReadAudit>, panel: Data<Panel>) -> Handled {
    let (filters, place) = (paging::filters::<Filters>(&request), Place::asked(&request));
    let cursor = place.cursor();
    let (wanted, language, zone) = (filters.clone(), staff.page.language, panel.settings.timezone);
    let read = panel.database.read_records(move |connection| {
        let (filter, wrongs) = filter_of(connection, &wanted, language, zone)?;
        Ok((audit_log::page(connection, &filter, cursor, PAGE)?, wrongs))
    });
    let (found, wrongs) = read.await.map_err(|error| Failed::database(&request, &error))?;
    let page = &staff.page;
    let pager = Pager::of("/audit", &filters, &place, &found, |record| record.id.to_string());
    let query = query_of(&filters, &[]);
    let is_filtered = !query.is_empty();
    let file = if is_filtered { format!("/audit.csv?{query}") } else { "/audit.csv".to_owned() };
    let entries = found.rows.into_iter().map(|record| shown(record, page)).collect();
    let (filters, wrongs) = (&filters, &wrongs);
    page::show(&request, page, &List { page, filters, wrongs, entries, pager, file, is_filtered })
}

/// The filter that was meant. What cannot be understood is left out of it, and said in `language`.
fn filter_of(
    connection: &mut Connection,
    filters: &Filters,
    language: Language,
    zone: Tz,
) -> Result<(Filter, Wrongs), DbError> {
    let mut wrongs = Wrongs::default();
    let text = |text: &str| Some(findable(text)).filter(|text| !text.is_empty());
    let tenant = read_tenant(connection, &filters.tenant, language, &mut wrongs)?;
    let words = language.say("Not a day such as 2026-01-31.", "不是日期（例如 2026-01-31）。");
    let mut moment = |field, text: &str| wrongs.read_any(field, text, words, |text| moment::read(text, zone).ok_or(()));
    let (from, to) = (moment("from", &filters.from), moment("to", &filters.to));
    // The day that is named counts too.
    let to = if filters.to.contains('T') { to } else { to.and_then(|day| moment::day_of(day, 1, zone)) };
    let (actor, action, subject) = (text(&filters.actor), text(&filters.action), text(&filters.subject));
    wrongs.check_part("action", filters.action.trim(), language);
    Ok((Filter { actor, action, tenant, subject, from, to }, wrongs))
}

fn shown(record: Record, page: &Page) -> Shown {
    let changes = changes(record.before.as_ref(), record.after.as_ref());
    let words = words::words(&record.action).map(|(english, chinese)| page.say(english, chinese));
    let link = link(&record, page);
    Shown { record, words, changes, link }
}

/// The page of what an entry is about.
fn link(record: &Record, page: &Page) -> Option<String> {
    let folder = match record.action.split('.').next()? {
        "channel" => "/channels",
        "codes" => "/codes",
        "key" => "/keys",
        "price" => "/models",
        // A code that is redeemed is a top-up.
        "code" | "top_up" => "/top-ups",
        "tenant" => return record.tenant.map(|tenant| format!("/tenants/{tenant}")),
        "user" => {
            let tenant = record.tenant?.to_string();
            return Some(format!("/usage?{}", query(&[("tenant", &tenant), ("user", &record.subject)])));
        }
        // A person's page is for owners.
        _ => return None,
    };
    Some(page.path(folder, &record.subject))
}
