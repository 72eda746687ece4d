//! The lines of the ledger as CSV: exactly what is filtered, of any size.

use actix_web::HttpRequest;
use actix_web::web::Data;
use chrono_tz::Tz;
use shared::ledger::{LedgerLine, LineExport};

use super::Typed;
use crate::frame::csv::{self, Rows};
use crate::frame::failure::{Failed, Handled};
use crate::frame::format::rfc3339;
use crate::frame::paging;
use crate::panel::Panel;
use crate::panel::access::{May, Read};
use crate::panel::list_filters::refuse;
use crate::panel::tenants::names::Names;

const LINES: [&str; 15] = [
    "id",
    "created_at",
    "kind",
    "tenant_id",
    "tenant",
    "line",
    "amount",
    "change",
    "balance",
    "currency",
    "request_id",
    "reverses",
    "reversed_by",
    "reference",
    "note",
];

/// Sends it.
pub(in crate::panel) async fn export(request: HttpRequest, staff: May<Read>, panel: Data<Panel>) -> Handled {
    let typed: Typed = paging::filters_of_file(&request)?;
    let (zone, language, currency) = (panel.side.zone, staff.page.language, panel.side.currency.clone());
    let read = panel.database.read_records(move |connection| typed.understand(connection, language, zone));
    let (filter, wrongs) = read.await.map_err(|error| Failed::database(&request, &error))?;
    refuse(&request, &wrongs)?;
    let mut names = Names::of(&panel.database);
    let write = async move |rows: &mut Rows, lines: &[LedgerLine]| {
        names.learn(lines.iter().filter_map(|line| line.tenant)).await?;
        lines.iter().for_each(|line| add(rows, line, &names, zone, &currency));
        Ok(())
    };
    let pieces = csv::pieces(LineExport::new(&panel.database, filter), Rows::with_head(LINES), write);
    Ok(csv::send("ledger", staff.watched(&panel), pieces))
}

fn add(rows: &mut Rows, line: &LedgerLine, names: &Names, zone: Tz, currency: &str) {
    fn text<T: ToString>(value: Option<T>) -> String {
        value.map_or_else(String::new, |value| value.to_string())
    }
    let fields = [
        line.id.to_string(),
        rfc3339(line.created_at, zone),
        line.kind.clone(),
        text(line.tenant),
        line.tenant.and_then(|tenant| names.get(tenant)).unwrap_or_default().to_owned(),
        text(line.seq),
        line.amount.to_string(),
        text(line.delta),
        text(line.balance),
        currency.to_owned(),
        text(line.request_id),
        text(line.reverses),
        text(line.reversed_by),
        line.reference.clone().unwrap_or_default(),
        line.note.clone().unwrap_or_default(),
    ];
    rows.add(fields.iter().map(String::as_str));
}
