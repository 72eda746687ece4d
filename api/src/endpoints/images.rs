//! `POST /v1/images/generations`

use actix_web::{HttpRequest, HttpResponse, web};
use shared::queue::Endpoint;

use crate::call;
use crate::description::{CallRefusals, ImageRequest, ImagesReply};
use crate::reply::Refused;
use crate::surface::Surface;
use crate::visit::Visit;

/// Make images
///
/// Charged by the image and its size; only images that are delivered are charged.
#[utoipa::path(
    post, path = "/v1/images/generations", tag = "calls", operation_id = "createImage",
    request_body(content = ImageRequest, examples(
        ("basic" = (summary = "One image", value = json!({"model": "dall-e-3", "prompt": "A cute baby sea otter"}))),
        ("two" = (summary = "Two small ones, as bytes", value = json!({
            "prompt": "A cute baby sea otter", "n": 2, "size": "256x256", "response_format": "b64_json",
        }))),
    )),
    responses(
        (status = 200, description = "The images.", body = ImagesReply, example = json!({
            "code": 0, "msg": "", "created": 1764288000, "data": [{"url": "https://example.com/otter.png"}],
        })),
        CallRefusals,
    ),
)]
pub(crate) async fn post(
    surface: web::Data<Surface>,
    visit: Visit,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Refused> {
    call::answer(Endpoint::Images, surface, visit, request, payload.into_inner()).await
}
