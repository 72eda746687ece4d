//! `POST /v1/completions`

use actix_web::{HttpRequest, HttpResponse, web};
use shared::queue::Endpoint;

use crate::call;
use crate::description::{COMPLETION_EVENTS, CallRefusals, Completion, CompletionEvent, CompletionRequest};
use crate::reply::Refused;
use crate::surface::Surface;
use crate::visit::Visit;

/// Complete a text
///
/// Charged by the tokens of prompt and answer. The cost of the longest answer is set aside first; a call that fails costs nothing.
#[utoipa::path(
    post, path = "/v1/completions", tag = "calls", operation_id = "createCompletion",
    request_body(content = CompletionRequest, examples(
        ("basic" = (summary = "One prompt", value = json!({
            "model": "text-davinci-003", "prompt": "This is a test", "max_tokens": 16, "temperature": 0, "stop": "\n",
        }))),
        ("tokens" = (summary = "Two prompts of tokens", value = json!({
            "model": "text-davinci-003", "prompt": [[1212, 318], [257, 1332]], "n": 2, "best_of": 3, "logit_bias": {"50256": -100},
        }))),
    )),
    responses(
        (status = 200, description = "The answer: one object, or a stream where `stream` is true.", content(
            (Completion = "application/json", example = json!({
                "code": 0, "msg": "", "id": "cmpl-019ac4f000007000800000000000000b", "object": "text_completion",
                "created": 1764288000, "model": "text-davinci-003",
                "choices": [{"text": "This is indeed a test", "index": 0, "logprobs": null, "finish_reason": "length"}],
                "usage": {"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11},
            })),
            (CompletionEvent = "text/event-stream", example = json!(COMPLETION_EVENTS)),
        )),
        CallRefusals,
    ),
)]
pub(crate) async fn post(
    surface: web::Data<Surface>,
    visit: Visit,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Refused> {
    call::answer(Endpoint::Completions, surface, visit, request, payload.into_inner()).await
}
