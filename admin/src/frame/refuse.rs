//! What every side says to paths and methods that it does not have.

use actix_web::{HttpRequest, Resource, web};

use super::failure::{Failed, Handled, Problem};

/// A resource that refuses the methods that it does not have.
pub(crate) fn resource(path: &str) -> Resource {
    web::resource(path).default_service(web::to(not_that_way))
}

/// There is nothing at this path.
pub(crate) async fn nothing(request: HttpRequest) -> Handled {
    Err(Failed::new(&request, Problem::NotFound))
}

async fn not_that_way(request: HttpRequest) -> Handled {
    Err(Failed::new(&request, Problem::NotThatWay))
}
