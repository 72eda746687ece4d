//! The calls of the usage page as CSV: exactly what is filtered, of any size.

use actix_web::HttpRequest;
use actix_web::web::Data;
use chrono_tz::Tz;
use shared::calls::{CallExport, CallRow};

use super::filters::{Grouping, Typed};
use super::sums_export;
use crate::frame::csv::{self, Rows};
use crate::frame::failure::{Failed, Handled};
use crate::frame::format::rfc3339;
use crate::frame::paging;
use crate::panel::Panel;
use crate::panel::access::{May, Read};
use crate::panel::list_filters::refuse;
use crate::panel::tenants::names::Names;

const CALLS: [&str; 21] = [
    "request_id",
    "received_at",
    "tenant_id",
    "tenant",
    "key_id",
    "endpoint",
    "model",
    "user",
    "streamed",
    "status",
    "word",
    "queued_ms",
    "first_text_ms",
    "ended_ms",
    "channel",
    "prompt_tokens",
    "completion_tokens",
    "images",
    "charged",
    "currency",
    "reversed",
];

/// Sends it.
pub(in crate::panel) async fn export(request: HttpRequest, staff: May<Read>, panel: Data<Panel>) -> Handled {
    let typed: Typed = paging::filters_of_file(&request)?;
    let (zone, language, currency) = (panel.side.zone, staff.page.language, panel.side.currency.clone());
    if let Some(grouping) = Grouping::named(&typed.by, zone) {
        return sums_export::send(&request, &staff, &panel, typed, grouping).await;
    }
    let read = panel.database.read_records(move |connection| typed.understand(connection, language, zone));
    let understood = read.await.map_err(|error| Failed::database(&request, &error))?;
    refuse(&request, &understood.wrongs)?;
    let mut names = Names::of(&panel.database);
    let write = async move |rows: &mut Rows, calls: &[CallRow]| {
        names.learn(calls.iter().map(|call| call.tenant)).await?;
        calls.iter().for_each(|call| add(rows, call, &names, zone, &currency));
        Ok(())
    };
    let pieces = csv::pieces(CallExport::new(&panel.database, understood.filter), Rows::with_head(CALLS), write);
    Ok(csv::send("usage", staff.watched(&panel), pieces))
}

fn add(rows: &mut Rows, call: &CallRow, names: &Names, zone: Tz, currency: &str) {
    let number = |number: Option<i64>| number.map_or_else(String::new, |number| number.to_string());
    let charge = call.charge.as_ref();
    let fields = [
        call.request_id.to_string(),
        rfc3339(call.received_at, zone),
        call.tenant.to_string(),
        names.get(call.tenant).unwrap_or_default().to_owned(),
        call.key.to_string(),
        call.endpoint.clone(),
        call.model.clone(),
        call.end_user.clone().unwrap_or_default(),
        call.streamed.to_string(),
        call.status.to_string(),
        call.word.clone(),
        number(call.queued_ms),
        number(call.first_text_ms),
        call.ended_ms.to_string(),
        call.channel.clone().unwrap_or_default(),
        number(charge.map(|charge| charge.prompt_tokens)),
        number(charge.map(|charge| charge.completion_tokens)),
        number(charge.map(|charge| charge.images)),
        charge.map_or_else(String::new, |charge| charge.amount.to_string()),
        currency.to_owned(),
        charge.map_or_else(String::new, |charge| charge.is_reversed.to_string()),
    ];
    rows.add(fields.iter().map(String::as_str));
}
