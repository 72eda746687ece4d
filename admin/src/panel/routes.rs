//! Which path of the panel is answered by which file. Every page but those for signing in has a right in its handler's signature.

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource};

use super::dashboard;
use crate::frame::assets;
use crate::frame::failure::{Failed, Handled, Problem};
use crate::frame::page::go_to;

/// All of them.
pub(super) fn add(config: &mut ServiceConfig) {
    config
        .service(page("/").get(home))
        .service(page("/assets/{file}").get(assets::send))
        .service(page("/dashboard").get(dashboard::show))
        .default_service(web::to(nothing));
}

/// A resource that refuses the methods that it does not have.
fn page(path: &str) -> Resource {
    web::resource(path).default_service(web::to(not_that_way))
}

async fn home() -> Handled {
    go_to("/dashboard")
}

async fn nothing(request: HttpRequest) -> Handled {
    Err(Failed::new(&request, Problem::NotFound))
}

async fn not_that_way(request: HttpRequest) -> HttpResponse {
    Failed::new(&request, Problem::NotThatWay).response()
}
