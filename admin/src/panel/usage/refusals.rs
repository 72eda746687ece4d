//! What was not let in, by reason and model; of one reason, whose it was. It is counted, not kept, so this is as far as it goes.

use std::collections::BTreeMap;

use actix_web::HttpRequest;
use actix_web::web::Bytes;
use askama::Template;
use shared::calls::{self, RefusedFilter, RefusedKey, RefusedRow};
use shared::catalogue::Snapshot;
use shared::db::{Connection, DbError};
use shared::id::TenantId;
use shared::ledger::Period;
use shared::tenant;

use super::filters::{Grouping, Typed};
use super::groups::{MOST_GROUPS, begin};
use super::sums::Asked;
use crate::frame::csv::Rows;
use crate::frame::failure::{Failed, Handled};
use crate::frame::page::{self, Page};
use crate::frame::wrongs::Wrongs;
use crate::panel::Panel;

const REASONS: [&str; 3] = ["code", "model", "count"];
const KEYS: [&str; 6] = ["code", "tenant_id", "tenant", "key_id", "model", "count"];

/// By reason and model.
#[derive(Template)]
#[template(path = "panel/usage_refusals.html")]
struct Reasons<'a> {
    page: &'a Page,
    typed: &'a Typed,
    wrongs: &'a Wrongs,
    models: &'a Snapshot,
    period: Period,
    /// Each with the query of whose it was.
    rows: Vec<(RefusedRow, String)>,
    total: i64,
}

impl Reasons<'_> {
    /// How many rows the file has.
    fn count(&self) -> Option<i64> {
        i64::try_from(self.rows.len()).ok()
    }
}

/// For one reason, by key and model.
#[derive(Template)]
#[template(path = "panel/usage_refused_keys.html")]
struct Keys<'a> {
    page: &'a Page,
    typed: &'a Typed,
    wrongs: &'a Wrongs,
    models: &'a Snapshot,
    period: Period,
    code: u32,
    rows: Vec<RefusedKey>,
    /// There are others, whose were fewer.
    has_more: bool,
    names: BTreeMap<TenantId, String>,
    total: i64,
}

impl Keys<'_> {
    /// How many rows the file has, where all of them are known here.
    fn count(&self) -> Option<i64> {
        i64::try_from(self.rows.len()).ok().filter(|_| !self.has_more)
    }

    fn name(&self, tenant: &TenantId) -> &str {
        self.names.get(tenant).map_or("", String::as_str)
    }
}

/// What the database gave.
enum Refused {
    Reasons(Vec<RefusedRow>),
    Keys(u32, Vec<RefusedKey>, BTreeMap<TenantId, String>),
}

impl Refused {
    fn read(connection: &mut Connection, asked: &Asked) -> Result<Self, DbError> {
        let (from, to) = asked.period;
        let Asked { filter, code, .. } = asked;
        let (tenant, key, model) = (filter.tenant, filter.key, filter.model.clone());
        let filter = RefusedFilter { tenant, key, model, code: *code, from, to };
        let Some(code) = *code else { return Ok(Self::Reasons(calls::refused(connection, &filter)?)) };
        let keys = calls::refused_keys(connection, &filter)?;
        let names = tenant::names(connection, keys.iter().map(|row| row.tenant))?;
        Ok(Self::Keys(code, keys, names))
    }
}

/// Shows it.
pub(super) async fn show(request: &HttpRequest, page: &Page, panel: &Panel, typed: &Typed) -> Handled {
    let (typed_too, language, zone, now) = (typed.clone(), page.language, panel.side.zone, page.now);
    let read = panel.database.read_records(move |connection| {
        let asked = typed_too.ask(connection, Grouping::Refusals, language, zone, now)?;
        let refused = Refused::read(connection, &asked)?;
        Ok((asked, refused))
    });
    let (Asked { period, wrongs, .. }, refused) = read.await.map_err(|error| Failed::database(request, &error))?;
    let (wrongs, models) = (&wrongs, &panel.catalogue.now());
    match refused {
        Refused::Reasons(rows) => {
            let total = sum(rows.iter().map(|row| row.count));
            let begin = begin(period, zone);
            let query = |row: &RefusedRow| {
                // Where no model is known, there is none to ask for.
                let model = if row.model.is_empty() { &typed.model } else { &row.model };
                typed.query_of_refusal(&[("from", &begin), ("model", model), ("status", &row.code.to_string())])
            };
            let rows = rows.into_iter().map(|row| (row.clone(), query(&row))).collect();
            page::show(request, page, &Reasons { page, typed, wrongs, models, period, rows, total })
        }
        Refused::Keys(code, mut rows, names) => {
            let total = sum(rows.iter().map(|row| row.count));
            let has_more = rows.len() > MOST_GROUPS;
            rows.truncate(MOST_GROUPS);
            page::show(request, page, &Keys { page, typed, wrongs, models, period, code, rows, has_more, names, total })
        }
    }
}

fn sum(counts: impl Iterator<Item = i64>) -> i64 {
    counts.fold(0, i64::saturating_add)
}

/// All of it as a file.
pub(super) fn file(connection: &mut Connection, asked: &Asked) -> Result<Bytes, DbError> {
    Ok(match Refused::read(connection, asked)? {
        Refused::Reasons(rows) => {
            let mut file = Rows::with_head(REASONS);
            for row in rows {
                file.add([row.code.to_string().as_str(), &row.model, &row.count.to_string()]);
            }
            file.take()
        }
        Refused::Keys(code, rows, names) => {
            let mut file = Rows::with_head(KEYS);
            for row in rows {
                let name = names.get(&row.tenant).map_or("", String::as_str);
                let (code, tenant, count) = (code.to_string(), row.tenant.to_string(), row.count.to_string());
                file.add([&code, &tenant, name, row.key.as_str(), &row.model, &count]);
            }
            file.take()
        }
    })
}
