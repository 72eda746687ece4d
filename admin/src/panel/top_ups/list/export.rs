//! The top-ups as CSV: exactly what is filtered, of any size, each with what was taken back of it.

use actix_web::HttpRequest;
use actix_web::web::Data;
use chrono_tz::Tz;
use shared::ledger::TopUpSource;
use shared::money::Amount;
use shared::top_ups::{TopUpExport, TopUpRecord};

use super::Filters;
use crate::frame::csv::{self, Rows};
use crate::frame::failure::{Failed, Handled};
use crate::frame::format::rfc3339;
use crate::frame::paging;
use crate::panel::Panel;
use crate::panel::access::{May, Read};
use crate::panel::list_filters::refuse;

const TOP_UPS: [&str; 14] = [
    "id",
    "created_at",
    "tenant_id",
    "tenant",
    "source",
    "reference",
    "note",
    "amount",
    "taken_back",
    "not_recovered",
    "currency",
    "reversal_id",
    "reversed_at",
    "reason",
];

/// Sends it.
pub(in crate::panel) async fn export(request: HttpRequest, staff: May<Read>, panel: Data<Panel>) -> Handled {
    let filters: Filters = paging::filters_of_file(&request)?;
    let (zone, language, currency) = (panel.side.zone, staff.page.language, panel.side.currency.clone());
    let read = panel.database.read_records(move |connection| filters.understand(connection, language, zone));
    let (filter, wrongs) = read.await.map_err(|error| Failed::database(&request, &error))?;
    refuse(&request, &wrongs)?;
    let write = async move |rows: &mut Rows, top_ups: &[TopUpRecord]| {
        top_ups.iter().for_each(|top_up| add(rows, top_up, zone, &currency));
        Ok(())
    };
    let pieces = csv::pieces(TopUpExport::new(&panel.database, filter), Rows::with_head(TOP_UPS), write);
    Ok(csv::send("top-ups", staff.watched(&panel), pieces))
}

fn add(rows: &mut Rows, top_up: &TopUpRecord, zone: Tz, currency: &str) {
    let reversal = top_up.reversal.as_ref();
    let fields = [
        top_up.id.to_string(),
        rfc3339(top_up.created_at, zone),
        top_up.tenant.to_string(),
        top_up.tenant_name.clone(),
        match top_up.source {
            TopUpSource::Cash => "payment",
            TopUpSource::Promotion => "code",
        }
        .to_owned(),
        top_up.reference.clone(),
        top_up.note.clone().unwrap_or_default(),
        top_up.amount.to_string(),
        reversal.map_or(Amount::ZERO, |reversal| reversal.recovered).to_string(),
        reversal.map_or_else(String::new, |reversal| reversal.not_recovered.to_string()),
        currency.to_owned(),
        reversal.map_or_else(String::new, |reversal| reversal.id.to_string()),
        reversal.map_or_else(String::new, |reversal| rfc3339(reversal.created_at, zone)),
        reversal.map_or_else(String::new, |reversal| reversal.reason.clone()),
    ];
    rows.add(fields.iter().map(String::as_str));
}
