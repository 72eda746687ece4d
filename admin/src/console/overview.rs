//! A developer's first minute: the balance, a sample that works, the last calls with what each cost.

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use shared::calls::{self, CallFilter, CallRow};
use shared::ledger::{self, Balance};
use shared::page::Cursor;

use super::Console;
use super::access::Developer;
use super::samples::sample_model;
use crate::frame::failure::{Failed, Handled};
use crate::frame::page::{self, Page};
use crate::frame::words;

/// How many of the last calls are shown.
const LAST: usize = 10;

#[derive(Template)]
#[template(path = "console/overview.html")]
struct Overview<'a> {
    page: &'a Page,
    developer: &'a Developer,
    balance: Balance,
    rows: Vec<CallRow>,
    /// Of the sample; none when nothing is served.
    model: Option<String>,
}

/// Shows it.
pub(super) async fn show(request: HttpRequest, developer: Developer, console: Data<Console>) -> Handled {
    let tenant = developer.tenant();
    let filter = CallFilter { tenant: Some(tenant), key: developer.sees_only(), ..CallFilter::default() };
    let read = console.database.read_records(move |connection| {
        Ok((ledger::balance(connection, tenant)?, calls::list(connection, &filter, Cursor::First, LAST)?))
    });
    let (balance, last) = read.await.map_err(|error| Failed::database(&request, &error))?;
    let balance = balance.ok_or_else(|| Failed::internal(&request, "a key's tenant has no account"))?;
    let (page, model) = (&developer.page, sample_model(&console, &developer));
    page::show(&request, page, &Overview { page, developer: &developer, balance, rows: last.rows, model })
}
