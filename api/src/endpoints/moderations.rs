//! `POST /v1/moderations`

use actix_web::{HttpRequest, HttpResponse, web};
use shared::queue::Endpoint;

use crate::call;
use crate::description::{CallRefusals, ModerationRequest, ModerationsReply};
use crate::reply::Refused;
use crate::surface::Surface;
use crate::visit::Visit;

/// Judge texts and images
///
/// Charged by the tokens of the input.
#[utoipa::path(
    post, path = "/v1/moderations", tag = "calls", operation_id = "createModeration",
    request_body(content = ModerationRequest, examples(
        ("texts" = (summary = "Two texts", value = json!({"input": ["I love kittens", "violence"]}))),
        ("parts" = (summary = "A text with an image", value = json!({
            "model": "omni-moderation-latest",
            "input": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
            ],
        }))),
    )),
    responses(
        (status = 200, description = "A judgement of each text, or one of all parts together.", body = ModerationsReply, example = json!({
            "code": 0, "msg": "", "id": "modr-019ac4f000007000800000000000000c", "model": "omni-moderation-latest",
            "results": [{"flagged": true, "categories": {"violence": true}, "category_scores": {"violence": 0.99}}],
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
    call::answer(Endpoint::Moderations, surface, visit, request, payload.into_inner()).await
}
