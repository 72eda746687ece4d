//! Asks a channel for a few words, outside of queue and ledger, and shows what it answered.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path};
use shared::audit_log::{self, Entry};
use shared::db::DbError;

use super::super::Panel;
use super::super::access::{ManageChannels, May};
use super::show;
use crate::frame::failure::{Failed, Handled};
use crate::frame::posted::{Nothing, Posted};

/// Asks it.
pub(in crate::panel) async fn ask(
    request: HttpRequest,
    staff: May<ManageChannels>,
    panel: Data<Panel>,
    name: Path<String>,
    _: Posted<Nothing>,
) -> Handled {
    let channel = show::find(&request, &panel, name.into_inner()).await?;
    let (origin, now, subject) = (staff.origin(), staff.now, channel.name.clone());
    // Before it is asked: the provider may want money for it, whether or not somebody waits for the answer.
    let recorded = staff.write(&request, &panel, move |connection| {
        let entry = Entry { action: "channel.test", tenant: None, subject: &subject, before: None, after: None };
        audit_log::record(connection, &origin, &entry, now)
    });
    recorded.await?.map_err(|error: DbError| Failed::database(&request, &error))?;
    let answer = (panel.ask_channel)(channel.name.clone()).await;
    show::send(&request, &staff, &panel, &channel, Some(answer)).await
}
