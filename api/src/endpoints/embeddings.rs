//! `POST /v1/embeddings`

use actix_web::{HttpRequest, HttpResponse, web};
use shared::queue::Endpoint;

use crate::call;
use crate::description::{CallRefusals, EmbeddingRequest, EmbeddingsReply};
use crate::reply::Refused;
use crate::surface::Surface;
use crate::visit::Visit;

/// Embed texts
///
/// Charged by the tokens of the input.
#[utoipa::path(
    post, path = "/v1/embeddings", tag = "calls", operation_id = "createEmbedding",
    request_body(content = EmbeddingRequest, examples(
        ("texts" = (summary = "Two texts", value = json!({
            "model": "text-embedding-3-small", "input": ["你好 world, GPT-4!", "Hello"], "dimensions": 8,
        }))),
        ("tokens" = (summary = "Tokens, as bytes", value = json!({
            "model": "text-embedding-3-small", "input": [[1212, 318], [257, 1332]], "encoding_format": "base64",
        }))),
    )),
    responses(
        (status = 200, description = "A vector for each input.", body = EmbeddingsReply, example = json!({
            "code": 0, "msg": "", "object": "list", "model": "text-embedding-3-small",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.0023, -0.0091, 0.0154]}],
            "usage": {"prompt_tokens": 5, "total_tokens": 5},
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
    call::answer(Endpoint::Embeddings, surface, visit, request, payload.into_inner()).await
}
