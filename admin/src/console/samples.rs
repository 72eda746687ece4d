//! How to call: samples that work as they are but for the key.

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;

use super::Console;
use super::access::Developer;
use crate::frame::failure::Handled;
use crate::frame::page::{self, Page};

#[derive(Template)]
#[template(path = "console/samples.html")]
struct Samples<'a> {
    page: &'a Page,
    developer: &'a Developer,
    model: String,
    /// A model that embeds, if the key may use one.
    embeddings: Option<String>,
}

/// Shows them.
pub(super) async fn show(request: HttpRequest, developer: Developer, console: Data<Console>) -> Handled {
    let (page, model) = (&developer.page, sample_model(&console, &developer));
    let mut usable = console.admission.models(&developer.session.caller()).into_iter();
    let embeddings = usable.find(|model| model.contains("embed"));
    page::show(&request, page, &Samples { page, developer: &developer, model, embeddings })
}

/// A model for samples: the usual one, or else the first that the key may use.
pub(super) fn sample_model(console: &Console, developer: &Developer) -> String {
    let (caller, usual) = (developer.session.caller(), &console.settings.models.chat_default);
    if caller.may_use(usual) {
        return usual.clone();
    }
    console.admission.models(&caller).into_iter().next().unwrap_or_else(|| usual.clone())
}
