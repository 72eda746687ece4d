//! The audit log as a file: exactly what is filtered, whatever its size.

use actix_web::HttpRequest;
use actix_web::web::Data;
use shared::audit_log::{AuditExport, Record};

use super::super::Panel;
use super::super::access::{May, ReadAudit};
use super::super::list_filters::refuse;
use super::{Filters, filter_of};
use crate::frame::csv::{self, Rows};
use crate::frame::failure::{Failed, Handled};
use crate::frame::paging;

const HEADINGS: [&str; 9] = ["id", "at", "actor", "address", "action", "tenant", "subject", "before", "after"];

/// Sends it.
pub(in crate::panel) async fn export(request: HttpRequest, staff: May<ReadAudit>, panel: Data<Panel>) -> Handled {
    let (filters, zone): (Filters, _) = (paging::filters_of_file(&request)?, panel.settings.timezone);
    let language = staff.page.language;
    let read = panel.database.read_records(move |connection| filter_of(connection, &filters, language, zone)).await;
    let (filter, wrongs) = read.map_err(|error| Failed::database(&request, &error))?;
    refuse(&request, &wrongs)?;
    let write = async |rows: &mut Rows, records: &[Record]| {
        records.iter().for_each(|record| add(rows, record));
        Ok(())
    };
    let pieces = csv::pieces(AuditExport::new(&panel.database, filter), Rows::with_head(HEADINGS), write);
    Ok(csv::send("audit", staff.watched(&panel), pieces))
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
