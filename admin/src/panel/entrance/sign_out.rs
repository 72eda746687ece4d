//! Signing out.

use actix_web::http::header::LOCATION;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::super::Panel;
use super::super::access::{Anybody, May};
use crate::frame::cookie;
use crate::frame::failure::{Failed, Handled};
use crate::frame::posted::{Nothing, Posted};

/// Ends the session, here and in the browser.
pub(in crate::panel) async fn sign_out(
    request: HttpRequest,
    staff: May<Anybody>,
    panel: Data<Panel>,
    _: Posted<Nothing>,
) -> Handled {
    let ended = panel.reception.sign_out(&staff.token, staff.address).await;
    ended.map_err(|error| Failed::database(&request, &error))?;
    let cookie = cookie::forget(&panel.side);
    Ok(HttpResponse::SeeOther().insert_header((LOCATION, "/sign-in")).cookie(cookie).finish())
}
