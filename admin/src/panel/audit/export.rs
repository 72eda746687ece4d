//! The audit log as a file: exactly what is filtered, whatever its size.

use actix_web::HttpRequest;
use actix_web::web::{Bytes, Data};
use futures_util::{Stream, stream};
use shared::audit_log::{self, Filter, Record};
use shared::db::{Database, DbError};
use shared::page::{Cursor, Page};

use super::super::Panel;
use super::super::access::{May, ReadAudit};
use super::super::usage::refuse;
use super::{Filters, filter_of};
use crate::frame::csv::{self, Rows};
use crate::frame::failure::{Failed, Handled};
use crate::frame::paging;

/// Entries that are read at a time.
const STEP: usize = 500;

const HEADINGS: [&str; 9] = ["id", "at", "actor", "address", "action", "tenant", "subject", "before", "after"];

/// Sends it.
pub(in crate::panel) async fn export(request: HttpRequest, staff: May<ReadAudit>, panel: Data<Panel>) -> Handled {
    let (filters, zone): (Filters, _) = (paging::filters_of_file(&request)?, panel.settings.timezone);
    let language = staff.page.language;
    let read = panel.database.read_records(move |connection| filter_of(connection, &filters, language, zone)).await;
    let (filter, wrongs) = read.map_err(|error| Failed::database(&request, &error))?;
    refuse(&request, &wrongs)?;
    Ok(csv::send("audit", staff.watched(&panel), pieces(panel.database.clone(), filter)))
}

fn pieces(database: Database, filter: Filter) -> impl Stream<Item = Result<Bytes, DbError>> {
    let begin = (Rows::with_head(HEADINGS), Some(Cursor::First));
    stream::try_unfold(begin, move |(mut rows, cursor)| {
        let (database, filter) = (database.clone(), filter.clone());
        async move {
            let Some(cursor) = cursor else { return Ok(None) };
            let read = move |connection: &mut _| audit_log::page(connection, &filter, cursor, STEP);
            let Page { rows: records, has_more, .. } = database.read_records(read).await?;
            records.iter().for_each(|record| add(&mut rows, record));
            let next = records.last().filter(|_| has_more).map(|last| Cursor::Behind(last.id));
            Ok(Some((rows.take(), (rows, next))))
        }
    })
}

fn add(rows: &mut Rows, record: &Record) {
    let json = |value: &Option<serde_json::Value>| value.as_ref().map(ToString::to_string).unwrap_or_default();
    let fields = [
        record.id.to_string(),
        record.at.to_rfc3339(),
        record.origin.actor.to_string(),
        record.origin.address.map(|address| address.to_string()).unwrap_or_default(),
        record.action.clone(),
        record.tenant.map(|tenant| tenant.to_string()).unwrap_or_default(),
        record.subject.clone(),
        json(&record.before),
        json(&record.after),
    ];
    rows.add(fields.iter().map(String::as_str));
}
