//! How to call: samples that work as they are but for the key.

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;

use super::Console;
use super::access::Developer;
use crate::frame::failure::Handled;
use crate::frame::page::{self, Page};

/// What the names of models say that do not chat.
const FOR_OTHERS: [&str; 7] = ["embed", "moderation", "dall-e", "image", "instruct", "davinci", "babbage"];

#[derive(Template)]
#[template(path = "console/samples.html")]
struct Samples<'a> {
    page: &'a Page,
    developer: &'a Developer,
    /// A model that answers, if there is one.
    model: Option<String>,
    /// A model that embeds, if one is served that the key may use.
    embeddings: Option<String>,
}

/// Shows them.
pub(super) async fn show(request: HttpRequest, developer: Developer, console: Data<Console>) -> Handled {
    let (page, model) = (&developer.page, sample_model(&console, &developer));
    let embeddings = served(&console, &developer).into_iter().find(|model| model.contains("embed"));
    page::show(&request, page, &Samples { page, developer: &developer, model, embeddings })
}

/// A model for samples, which a channel serves and the key may use: the usual one, or else the first that chats. None when there is none,
/// so that no page shows a call that is refused.
pub(super) fn sample_model(console: &Console, developer: &Developer) -> Option<String> {
    let (usual, served) = (&console.settings.models.chat_default, served(console, developer));
    if served.contains(usual) {
        return Some(usual.clone());
    }
    served.into_iter().find(|model| chats(console, model))
}

/// The models that a channel serves and the key may use, in order.
fn served(console: &Console, developer: &Developer) -> Vec<String> {
    let (caller, snapshot) = (developer.session.caller(), console.catalogue.now());
    snapshot.model_names().filter(|model| caller.may_use(model)).map(str::to_owned).collect()
}

/// Whether a model seems to be for chats: nothing but its name tells.
fn chats(console: &Console, model: &str) -> bool {
    let models = &console.settings.models;
    let is_for_others = model == models.image_default || model == models.moderation_default;
    !is_for_others && !FOR_OTHERS.iter().any(|word| model.to_ascii_lowercase().contains(word))
}
