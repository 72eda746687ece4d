//! `POST /tenants/{id}/notes`: a note on a tenant. Notes are only added, so what was known then stays known. What an author has just
//! written is not added again: the same form twice is one note.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use serde::Deserialize;
use serde_json::json;
use shared::audit_log::{self, Entry};
use shared::tenant::notes::{self, NoteError};

use super::find;
use super::show::{Typed, render};
use crate::frame::failure::{Failed, Handled};
use crate::frame::page::go_to;
use crate::frame::posted::Posted;
use crate::frame::wrongs::Wrongs;
use crate::panel::Panel;
use crate::panel::access::{May, WriteNotes};

/// What the form sends.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::panel) struct Fields {
    note: String,
}

/// Adds it.
pub(in crate::panel) async fn add_note(
    request: HttpRequest,
    staff: May<WriteNotes>,
    panel: Data<Panel>,
    id: Path<String>,
    Posted(fields): Posted<Fields>,
) -> Handled {
    let found = find(&request, &panel, &id).await?.tenant;
    let (text, origin, now) = (fields.note.clone(), staff.origin(), staff.now);
    let (author, tenant) = (staff.staff.email.clone(), found.id);
    let added = staff.write(&request, &panel, move |connection| {
        let Some(note) = notes::add_once(connection, tenant, &author, &text, now)? else { return Ok(()) };
        let entry = Entry {
            action: "tenant.note",
            tenant: Some(tenant),
            subject: &found.name,
            before: None,
            after: Some(json!({"note": note.id, "text": note.text})),
        };
        audit_log::record(connection, &origin, &entry, now)?;
        Ok(())
    });
    let page = &staff.page;
    let words = match added.await? {
        Ok(()) => return go_to(format!("/tenants/{tenant}#notes")),
        Err(NoteError::BadText) => page.say("A note has 1 to 2000 characters.", "备注须为 1 至 2000 个字符。"),
        Err(NoteError::TooMany) => page.say("This tenant has as many notes as it may.", "该客户的备注数量已达上限。"),
        Err(NoteError::Database(error)) => return Err(Failed::database(&request, &error)),
        Err(error) => return Err(Failed::internal(&request, error)),
    };
    let typed = Typed { note: fields.note, wrongs: Wrongs::one("note", words), ..Typed::default() };
    render(&request, &staff, &panel, &id, &typed, StatusCode::UNPROCESSABLE_ENTITY).await
}
