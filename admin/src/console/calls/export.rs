//! All calls that the filters leave, as a file.

use actix_web::HttpRequest;
use actix_web::web::Data;
use shared::calls::{CallExport, CallRow};

use super::Filters;
use crate::console::Console;
use crate::console::access::Developer;
use crate::frame::csv::{self, Rows};
use crate::frame::failure::Handled;
use crate::frame::paging;

/// Sends it.
pub(in crate::console) async fn export(request: HttpRequest, developer: Developer, console: Data<Console>) -> Handled {
    let (filter, is_unread) = paging::filters_of_file::<Filters>(&request)?.read(&developer);
    if is_unread {
        return Err(paging::unread(&request));
    }
    let write = async |rows: &mut Rows, calls: &[CallRow]| {
        calls.iter().for_each(|call| add(rows, call));
        Ok(())
    };
    let pieces = csv::pieces(CallExport::new(&console.database, filter), heading(), write);
    Ok(csv::send("calls", developer.watched(&console), pieces))
}

fn heading() -> Rows {
    Rows::with_head([
        "time",
        "request_id",
        "key",
        "endpoint",
        "model",
        "user",
        "status",
        "code",
        "prompt_tokens",
        "completion_tokens",
        "images",
        "amount",
        "given_back",
        "first_text_ms",
        "ended_ms",
    ])
}

fn add(rows: &mut Rows, call: &CallRow) {
    let charge = call.charge.as_ref();
    let number = |of: Option<i64>| of.map(|number| number.to_string()).unwrap_or_default();
    rows.add([
        call.received_at.to_rfc3339().as_str(),
        &call.request_id.to_string(),
        call.key.as_str(),
        &call.endpoint,
        &call.model,
        call.end_user.as_deref().unwrap_or_default(),
        &call.word,
        &call.status.to_string(),
        &number(charge.map(|charge| charge.prompt_tokens)),
        &number(charge.map(|charge| charge.completion_tokens)),
        &number(charge.map(|charge| charge.images)),
        &charge.map(|charge| charge.amount.to_string()).unwrap_or_default(),
        if charge.is_some_and(|charge| charge.is_reversed) { "yes" } else { "" },
        &number(call.first_text_ms),
        &call.ended_ms.to_string(),
    ]);
}
