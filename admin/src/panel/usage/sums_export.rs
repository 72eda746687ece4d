//! The sums of the usage page as CSV, all groups of them: read and written so many at a time, in the order of their names.

use actix_web::HttpRequest;
use actix_web::web::Bytes;
use futures_util::{StreamExt as _, stream};
use shared::clock::Timestamp;
use shared::db::{Database, DbError};
use shared::id::TenantId;
use shared::ledger::{Period, UsageRow};
use shared::rollups::{self, By, Usage, UsageFilter};

use super::filters::{Grouping, Typed};
use super::refusals;
use super::sums::Asked;
use crate::frame::csv::{self, Rows};
use crate::frame::failure::{Failed, Handled};
use crate::frame::language::Language;
use crate::frame::moment;
use crate::frame::wrongs::Wrongs;
use crate::panel::Panel;
use crate::panel::access::{May, Read};
use crate::panel::list_filters::refuse;
use crate::panel::tenants::names::Names;

const SUMS: [&str; 8] =
    ["group", "tenant", "requests", "prompt_tokens", "completion_tokens", "images", "charged", "currency"];
/// Groups of one piece. Each is read by a look at all sums of the period, so more pieces would take longer.
const PIECE: usize = 10_000;

/// Sends it.
pub(super) async fn send(
    request: &HttpRequest,
    staff: &May<Read>,
    panel: &Panel,
    typed: Typed,
    grouping: Grouping,
) -> Handled {
    let (zone, language, now) = (panel.side.zone, staff.page.language, staff.now);
    let read = panel.database.read_records(move |connection| {
        let asked = typed.ask(connection, grouping, language, zone, now)?;
        let refused = match grouping {
            Grouping::Refusals => Some(refusals::file(connection, &asked)?),
            Grouping::Charged(_) => None,
        };
        Ok((asked, refused))
    });
    let (Asked { filter, period, wrongs, .. }, refused) =
        read.await.map_err(|error| Failed::database(request, &error))?;
    refuse(request, &wrongs)?;
    let by = match (grouping, refused) {
        (Grouping::Charged(by), _) => by,
        (Grouping::Refusals, refused) => {
            let file = refused.unwrap_or_default();
            return Ok(csv::send("usage", staff.watched(panel), stream::iter([Ok(file)])));
        }
    };
    let mut sums = Sums {
        database: panel.database.clone(),
        filter,
        period,
        by,
        names: Names::of(&panel.database),
        currency: panel.side.currency.clone(),
        next: Next::Behind(None),
        rows: Rows::with_head(SUMS),
        known_from: None,
    };
    // The first piece shows whether there can be a file.
    let first = sums.piece().await.map_err(|error| Failed::database(request, &error))?;
    if let Some(known_from) = sums.known_from {
        let day = moment::write_day(known_from, zone);
        let text = match language {
            Language::English => {
                format!("End users are known from {day} on: choose a period that begins then or later.")
            }
            Language::Chinese => format!("终端用户的汇总自 {day} 起保留：请选择不早于该日的时间范围。"),
        };
        refuse(request, &Wrongs::one("from", text))?;
    }
    let others = stream::try_unfold(sums, |mut sums| async move { Ok(sums.piece().await?.map(|piece| (piece, sums))) });
    Ok(csv::send("usage", staff.watched(panel), stream::iter(first.map(Ok)).chain(others)))
}

/// Sums on their way.
struct Sums {
    database: Database,
    filter: UsageFilter,
    period: Period,
    by: By,
    names: Names,
    currency: String,
    next: Next,
    rows: Rows,
    /// See [`Usage::known_from`].
    known_from: Option<Timestamp>,
}

/// Where the next piece begins.
enum Next {
    /// Behind this group; with `None`, at the first one.
    Behind(Option<String>),
    /// There is none.
    Nothing,
}

impl Sums {
    /// The next piece of the file; the first one has the headings.
    async fn piece(&mut self) -> Result<Option<Bytes>, DbError> {
        let Next::Behind(than) = std::mem::replace(&mut self.next, Next::Nothing) else { return Ok(None) };
        let (filter, period, by) = (self.filter.clone(), self.period, self.by);
        let read = self.database.read_records(move |connection| {
            rollups::usage_behind(connection, &filter, period, by, (than.as_deref(), PIECE))
        });
        let Usage { rows, known_from } = read.await?;
        self.known_from = known_from;
        if by == By::Tenant {
            self.names.learn(rows.iter().filter_map(tenant)).await?;
        }
        for row in &rows {
            self.add(row);
        }
        if rows.len() >= PIECE {
            self.next = Next::Behind(rows.last().map(|row| row.group.clone()));
        }
        Ok(Some(self.rows.take()))
    }

    fn add(&mut self, row: &UsageRow) {
        let name = tenant(row).filter(|_| self.by == By::Tenant).and_then(|tenant| self.names.get(tenant));
        let UsageRow { group, requests, prompt_tokens, completion_tokens, images, amount } = row;
        let numbers = [requests, prompt_tokens, completion_tokens, images].map(ToString::to_string);
        let [requests, prompt, completion, images] = numbers.each_ref().map(String::as_str);
        let fields = [
            group,
            name.unwrap_or_default(),
            requests,
            prompt,
            completion,
            images,
            &amount.to_string(),
            &self.currency,
        ];
        self.rows.add(fields);
    }
}

fn tenant(row: &UsageRow) -> Option<TenantId> {
    row.group.parse().ok().map(TenantId)
}
