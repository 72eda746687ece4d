//! Which path of the console is answered by which file. Every page but those for signing in and out has a [`super::access::Developer`] in its
//! handler's signature.

use actix_web::web::{self, ServiceConfig};

use super::{call, calls, keys, overview, playground, redeem, rotate, samples, sign_in, usage};
use crate::frame::assets;
use crate::frame::failure::Handled;
use crate::frame::page::go_to;
use crate::frame::refuse::{nothing, resource as page};

/// All of them, below `/console`.
pub(super) fn add(config: &mut ServiceConfig) {
    config
        .service(page("").get(overview::show))
        .service(page("/").get(home))
        .service(page("/assets/{file}").get(assets::send))
        .service(page("/sign-in").get(sign_in::show).post(sign_in::enter))
        .service(page("/sign-out").post(sign_in::leave))
        .service(page("/calls").get(calls::show))
        .service(page("/calls.csv").get(calls::export))
        .service(page("/calls/{request_id}").get(call::show))
        .service(page("/usage").get(usage::show))
        .service(page("/keys").get(keys::show))
        .service(page("/keys/{kid}/rotate").get(rotate::ask).post(rotate::rotate))
        .service(page("/redeem").get(redeem::show).post(redeem::redeem))
        .service(page("/samples").get(samples::show))
        .service(page("/playground").get(playground::show).post(playground::play))
        .default_service(web::to(nothing));
}

async fn home() -> Handled {
    go_to("/console")
}
