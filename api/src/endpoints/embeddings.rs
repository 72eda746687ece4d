//! `POST /v1/embeddings`

use actix_web::{HttpRequest, HttpResponse, web};
use shared::queue::Endpoint;

use crate::call;
use crate::reply::Refused;
use crate::surface::Surface;
use crate::visit::Visit;

pub(crate) async fn post(
    surface: web::Data<Surface>,
    visit: Visit,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Refused> {
    call::answer(Endpoint::Embeddings, surface, visit, request, payload.into_inner()).await
}
