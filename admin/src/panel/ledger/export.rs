//! The lines of the ledger as CSV: exactly what is filtered, of any size.

use actix_web::HttpRequest;
use actix_web::web::{Bytes, Data};
use chrono_tz::Tz;
use futures_util::stream;
use shared::db::DbError;
use shared::ledger::{LedgerLine, LineExport};

use super::Typed;
use crate::frame::csv::{self, Rows};
use crate::frame::failure::{Failed, Handled};
use crate::frame::format::rfc3339;
use crate::frame::paging;
use crate::panel::Panel;
use crate::panel::access::{May, Read};
use crate::panel::tenants::names::Names;
use crate::panel::usage::refuse;

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
    let export = Export {
        lines: LineExport::new(&panel.database, filter),
        names: Names::of(&panel.database),
        rows: Rows::with_head(LINES),
        zone,
        currency,
    };
    let pieces = stream::try_unfold(export, |mut export| async move {
        let piece = export.next().await?;
        Ok(piece.map(|piece| (piece, export)))
    });
    Ok(csv::send("ledger", staff.watched(&panel), pieces))
}

struct Export {
    lines: LineExport,
    names: Names,
    rows: Rows,
    zone: Tz,
    currency: String,
}

impl Export {
    /// The next piece of the file; the first one has the headings.
    async fn next(&mut self) -> Result<Option<Bytes>, DbError> {
        let Some(lines) = self.lines.next().await? else {
            let rest = self.rows.take();
            return Ok((!rest.is_empty()).then_some(rest));
        };
        self.names.learn(lines.iter().filter_map(|line| line.tenant)).await?;
        for line in &lines {
            self.add(line);
        }
        Ok(Some(self.rows.take()))
    }

    fn add(&mut self, line: &LedgerLine) {
        fn text<T: ToString>(value: Option<T>) -> String {
            value.map_or_else(String::new, |value| value.to_string())
        }
        let fields = [
            line.id.to_string(),
            rfc3339(line.created_at, self.zone),
            line.kind.clone(),
            text(line.tenant),
            line.tenant.and_then(|tenant| self.names.get(tenant)).unwrap_or_default().to_owned(),
            text(line.seq),
            line.amount.to_string(),
            text(line.delta),
            text(line.balance),
            self.currency.clone(),
            text(line.request_id),
            text(line.reverses),
            text(line.reversed_by),
            line.reference.clone().unwrap_or_default(),
            line.note.clone().unwrap_or_default(),
        ];
        self.rows.add(fields.iter().map(String::as_str));
    }
}
