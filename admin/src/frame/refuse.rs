//! How every side asks for its paths: a page's head as the page, and what it says to paths and methods that it does not have.

use actix_web::dev::{AppService, HttpServiceFactory};
use actix_web::{FromRequest, Handler, HttpRequest, Resource, Responder, guard, web};

use super::failure::{Failed, Handled, Problem};

/// A path and the ways to ask for it; it refuses the methods that it does not have.
pub(crate) struct Path(Resource);

/// A path that nobody can ask for yet.
pub(crate) fn resource(path: &str) -> Path {
    Path(web::resource(path).default_service(web::to(not_that_way)))
}

impl Path {
    /// The same that is shown so: also to who asks for the head alone, and then the server leaves the body out.
    pub(crate) fn get<F, A>(self, handler: F) -> Self
    where
        F: Handler<A>,
        A: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let read = guard::Any(guard::Get()).or(guard::Head());
        Self(self.0.route(web::route().guard(read).to(handler)))
    }

    /// The same to which forms are sent.
    pub(crate) fn post<F, A>(self, handler: F) -> Self
    where
        F: Handler<A>,
        A: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        Self(self.0.route(web::post().to(handler)))
    }
}

impl HttpServiceFactory for Path {
    fn register(self, config: &mut AppService) {
        self.0.register(config);
    }
}

/// There is nothing at this path.
pub(crate) async fn nothing(request: HttpRequest) -> Handled {
    Err(Failed::new(&request, Problem::NotFound))
}

async fn not_that_way(request: HttpRequest) -> Handled {
    Err(Failed::new(&request, Problem::NotThatWay))
}
