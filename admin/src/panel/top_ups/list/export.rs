//! The top-ups as CSV: exactly what is filtered, of any size, each with what was taken back of it.

use actix_web::HttpRequest;
use actix_web::web::{Bytes, Data};
use chrono_tz::Tz;
use futures_util::stream;
use shared::db::DbError;
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
use crate::panel::usage::refuse;

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
    let export =
        Export { top_ups: TopUpExport::new(&panel.database, filter), rows: Rows::with_head(TOP_UPS), zone, currency };
    let pieces = stream::try_unfold(export, |mut export| async move {
        let piece = export.next().await?;
        Ok(piece.map(|piece| (piece, export)))
    });
    Ok(csv::send("top-ups", staff.watched(&panel), pieces))
}

struct Export {
    top_ups: TopUpExport,
    rows: Rows,
    zone: Tz,
    currency: String,
}

impl Export {
    /// The next piece of the file; the first one has the headings.
    async fn next(&mut self) -> Result<Option<Bytes>, DbError> {
        let Some(top_ups) = self.top_ups.next().await? else {
            let rest = self.rows.take();
            return Ok((!rest.is_empty()).then_some(rest));
        };
        for top_up in &top_ups {
            self.add(top_up);
        }
        Ok(Some(self.rows.take()))
    }

    fn add(&mut self, top_up: &TopUpRecord) {
        let reversal = top_up.reversal.as_ref();
        let fields = [
            top_up.id.to_string(),
            rfc3339(top_up.created_at, self.zone),
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
            self.currency.clone(),
            reversal.map_or_else(String::new, |reversal| reversal.id.to_string()),
            reversal.map_or_else(String::new, |reversal| rfc3339(reversal.created_at, self.zone)),
            reversal.map_or_else(String::new, |reversal| reversal.reason.clone()),
        ];
        self.rows.add(fields.iter().map(String::as_str));
    }
}
