//! The dashboard: the state of the service, and what it did in a chosen time. The part that changes is a template of its own, which a
//! script fetches again every few seconds; without a script the page is as good as any other, and loaded again by hand.

mod charts;
mod range;

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use shared::calls::ChannelHealth;
use shared::catalogue::channel::{self, Channel};
use shared::clock::Timestamp;
use shared::db::{Connection, DbError};
use shared::health::Readiness;
use shared::ledger::{self, LastAudits};
use shared::queue::Depth;
use shared::rollups::{self, ChannelDid};

use self::range::{CHOSEN, PRESETS, Range, Typed};
use super::Panel;
use super::access::{May, Read};
use super::channels::health;
use crate::frame::chart::Chart;
use crate::frame::failure::{Failed, Handled};
use crate::frame::format::{share, thousandths};
use crate::frame::page::{self, Page};
use crate::frame::{paging, words};

/// The whole page.
#[derive(Template)]
#[template(path = "panel/dashboard.html")]
struct Dashboard<'a> {
    page: &'a Page,
    typed: &'a Typed,
    range: &'a Range,
    live: Live,
    console_url: &'a str,
    version: &'a str,
}

/// The part of it that changes.
#[derive(Template)]
#[template(path = "panel/dashboard_live.html")]
struct LivePart<'a> {
    page: &'a Page,
    live: Live,
}

/// What the part that changes shows.
struct Live {
    readiness: Readiness,
    audits: LastAudits,
    depth: Depth,
    total: rollups::Figures,
    charts: Vec<Chart>,
    channels: Vec<Row>,
}

/// A channel, with what came of trying it.
struct Row {
    channel: Channel,
    /// In the last 15 minutes.
    recent: ChannelHealth,
    /// In the chosen time; `None` where it was not tried.
    health: Option<ChannelHealth>,
}

impl Row {
    /// The class and the word of how it does now.
    fn state(&self, page: &Page) -> (&'static str, &'static str) {
        health::state(&self.recent, page)
    }

    /// What part of the tries went well.
    fn good(&self) -> String {
        let health = self.health.as_ref();
        health.map_or_else(|| share(0, 0), |health| share(health.attempts - health.failures, health.attempts))
    }
}

impl Live {
    /// Whether the running audit of this process, or any audit before, found a violation that still stands.
    fn is_violated(&self) -> bool {
        self.readiness.ledger != "ok" || self.audits.standing.is_some()
    }

    /// What part of the calls was answered.
    fn answered(&self) -> String {
        share(self.total.answered, self.total.calls)
    }

    fn waiting(&self) -> i64 {
        i64::try_from(self.depth.waiting).unwrap_or(i64::MAX)
    }

    fn running(&self) -> i64 {
        i64::try_from(self.depth.running).unwrap_or(i64::MAX)
    }

    /// How many calls waited on average.
    fn mean_depth(&self) -> String {
        thousandths(self.total.mean_depth())
    }

    /// Calls that ended otherwise: their clients left, or a provider would not have them.
    fn others(&self) -> i64 {
        charts::others(&self.total)
    }
}

/// Shows it.
pub(super) async fn show(request: HttpRequest, staff: May<Read>, panel: Data<Panel>) -> Handled {
    let typed: Typed = paging::filters(&request);
    let range = typed.range(staff.now, panel.side.zone);
    let live = look(&request, &staff.page, &panel, &range).await?;
    let (page, console_url, version) = (&staff.page, panel.console_url.as_str(), panel.version);
    page::show(&request, page, &Dashboard { page, typed: &typed, range: &range, live, console_url, version })
}

/// Shows the part that changes.
pub(super) async fn show_live(request: HttpRequest, staff: May<Read>, panel: Data<Panel>) -> Handled {
    let typed: Typed = paging::filters(&request);
    let range = typed.range(staff.now, panel.side.zone);
    let live = look(&request, &staff.page, &panel, &range).await?;
    page::show(&request, &staff.page, &LivePart { page: &staff.page, live })
}

async fn look(request: &HttpRequest, page: &Page, panel: &Panel, range: &Range) -> Result<Live, Failed> {
    let (from, to, step, now) = (range.from, range.to, range.step, page.now);
    let (readiness, depth) = (panel.health.readiness().await, panel.queue.depth().await);
    let read = panel.database.read_records(move |connection| {
        let did = rollups::dashboard(connection, from, to, step)?;
        let channels = channels(connection, &did.channels, now)?;
        Ok((did, channels, ledger::last_audits(connection)?))
    });
    let (did, channels, audits) = read.await.map_err(|error| Failed::database(request, &error))?;
    let charts = charts::of(page, range, &did);
    Ok(Live { readiness, audits, depth, total: did.total, charts, channels })
}

/// All channels, each with its health in the chosen time and now.
fn channels(connection: &mut Connection, did: &[ChannelDid], now: Timestamp) -> Result<Vec<Row>, DbError> {
    let mut recent = health::recent(connection, now)?;
    let rows = channel::list(connection)?.into_iter().map(|channel| Row {
        recent: recent.remove(&channel.name).unwrap_or_default(),
        health: did.iter().find(|did| did.name == channel.name).map(|did| did.health.clone()),
        channel,
    });
    Ok(rows.collect())
}
