//! Which path of the panel is answered by which file. Every page but those for signing in has a right in its handler's signature.

use actix_web::web::{self, ServiceConfig};

use super::dashboard;
use crate::frame::assets;
use crate::frame::failure::Handled;
use crate::frame::page::go_to;
use crate::frame::refuse::{nothing, resource as page};

/// All of them.
pub(super) fn add(config: &mut ServiceConfig) {
    config
        .service(page("/").get(home))
        .service(page("/assets/{file}").get(assets::send))
        .service(page("/dashboard").get(dashboard::show))
        .default_service(web::to(nothing));
}

async fn home() -> Handled {
    go_to("/dashboard")
}
