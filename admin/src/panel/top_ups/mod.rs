//! Top-ups: all of them, a new one in three steps (form, confirmation, entry), and one taken back.

mod book;
mod form;
mod list;
mod reverse;
mod show;

use actix_web::HttpRequest;
use shared::id::TransferId;
use shared::ledger::LedgerError;
use shared::top_ups::{self, TopUpError, TopUpRecord};

pub(super) use self::book::{book, confirm, new};
pub(super) use self::list::{export, list};
pub(super) use self::reverse::{ask_to_reverse, reverse};
pub(super) use self::show::show;
use super::Panel;
use crate::frame::failure::{Failed, Problem};

/// The top-up whose id stands in a path.
async fn find(request: &HttpRequest, panel: &Panel, id: &str) -> Result<TopUpRecord, Failed> {
    let not_found = || Failed::new(request, Problem::NotFound);
    let id: TransferId = id.parse().map_err(|_| not_found())?;
    let found = panel.database.read(move |connection| top_ups::find(connection, id)).await;
    found.map_err(|error| Failed::database(request, &error))?.ok_or_else(not_found)
}

/// The failure of a booking that no field of a form is to blame for.
fn failed(request: &HttpRequest, error: TopUpError) -> Failed {
    match error {
        TopUpError::Ledger(LedgerError::Database(error)) => Failed::database(request, &error),
        other => Failed::internal(request, other),
    }
}
