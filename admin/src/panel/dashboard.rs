//! The dashboard: the state of the service at a glance.

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use shared::health::Readiness;

use super::Panel;
use super::access::{May, Read};
use crate::frame::failure::Handled;
use crate::frame::page::{self, Page};

#[derive(Template)]
#[template(path = "panel/dashboard.html")]
struct Dashboard<'a> {
    page: &'a Page,
    readiness: Readiness,
    console_url: &'a str,
    version: &'a str,
}

/// Shows it.
pub(super) async fn show(request: HttpRequest, staff: May<Read>, panel: Data<Panel>) -> Handled {
    let readiness = panel.health.readiness().await;
    let (page, console_url, version) = (&staff.page, panel.console_url.as_str(), panel.version);
    page::show(&request, page, &Dashboard { page, readiness, console_url, version })
}
