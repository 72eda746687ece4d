//! One call: how it went, and what it cost, step by step.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path};
use askama::Template;
use shared::calls::{self, CallDetail};
use shared::id::RequestId;
use shared::secret_key::KeyId;

use super::Console;
use super::access::Developer;
use crate::frame::arithmetic::{self, Arithmetic};
use crate::frame::failure::{Failed, Handled, Problem};
use crate::frame::page::{self, Page};
use crate::frame::words;

#[derive(Template)]
#[template(path = "console/call.html")]
struct Call<'a> {
    page: &'a Page,
    developer: &'a Developer,
    call: CallDetail,
    arithmetic: Option<Arithmetic>,
}

/// Shows it. A call that the session may not see is as good as none.
pub(super) async fn show(
    request: HttpRequest,
    developer: Developer,
    console: Data<Console>,
    request_id: Path<String>,
) -> Handled {
    let not_found = || Failed::new(&request, Problem::NotFound);
    let request_id: RequestId = request_id.parse().map_err(|_| not_found())?;
    let read = move |connection: &mut _| calls::detail(connection, request_id);
    let found = console.database.read_records(read).await.map_err(|error| Failed::database(&request, &error))?;
    let call = found.filter(|call| is_seen(call, &developer)).ok_or_else(not_found)?;
    let page = &developer.page;
    let arithmetic = call.charge.as_ref().map(|charge| arithmetic::of(charge, page.language));
    page::show(&request, page, &Call { page, developer: &developer, call, arithmetic })
}

/// Whether the session may see a call: it is its key's, or its tenant's. Of a call that is not known in full, nobody knows the key.
fn is_seen(call: &CallDetail, developer: &Developer) -> bool {
    let of_key = |key: KeyId| {
        let of_row = call.row.as_ref().map(|row| row.key == key);
        of_row.or_else(|| call.charge.as_ref().map(|charge| charge.key_id == key.as_str())) == Some(true)
    };
    call.tenant == developer.tenant() && developer.sees_only().is_none_or(of_key)
}
