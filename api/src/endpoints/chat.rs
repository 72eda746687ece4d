//! `POST /v1/chat/completions`

use actix_web::{HttpRequest, HttpResponse, web};
use shared::queue::Endpoint;

use crate::call;
use crate::description::{CHAT_EVENTS, CallRefusals, ChatCompletion, ChatEvent, ChatRequest};
use crate::reply::Refused;
use crate::surface::Surface;
use crate::visit::Visit;

/// Answer a chat
///
/// Charged by the tokens of prompt and answer. The cost of the longest answer is set aside first; a call that fails costs nothing.
#[utoipa::path(
    post, path = "/v1/chat/completions", tag = "calls", operation_id = "createChatCompletion",
    request_body(content = ChatRequest, examples(
        ("basic" = (summary = "One message", value = json!({
            "model": "gpt-4",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
        }))),
        ("stream" = (summary = "A stream, with its usage", value = json!({
            "model": "gpt-3.5", "stream": true, "stream_options": {"include_usage": true},
            "messages": [{"role": "user", "content": "Count to five"}],
        }))),
        ("image" = (summary = "A question about an image", value = json!({
            "model": "gpt-4", "max_tokens": 100,
            "messages": [{"role": "user", "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
            ]}],
        }))),
        ("tools" = (summary = "A tool, called, and its result", value = json!({
            "model": "gpt-4",
            "messages": [
                {"role": "user", "content": "How warm is it in Shanghai?"},
                {"role": "assistant", "content": null, "tool_calls": [
                    {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"上海\"}"}},
                ]},
                {"role": "tool", "tool_call_id": "call_1", "content": "21 degrees"},
            ],
            "tools": [{"type": "function", "function": {
                "name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
            }}],
        }))),
        ("json" = (summary = "An answer in JSON", value = json!({
            "model": "gpt-4", "response_format": {"type": "json_object"}, "temperature": 0, "seed": 7, "n": 2, "stop": ["END"],
            "messages": [{"role": "user", "content": "Three colours, as JSON"}],
        }))),
    )),
    responses(
        (status = 200, description = "The answer: one object, or a stream where `stream` is true.", content(
            (ChatCompletion = "application/json", example = json!({
                "code": 0, "msg": "", "id": "chatcmpl-019ac4f000007000800000000000000a", "object": "chat.completion",
                "created": 1764288000, "model": "gpt-4",
                "choices": [{
                    "index": 0, "message": {"role": "assistant", "content": "Hello!", "refusal": null}, "logprobs": null,
                    "finish_reason": "stop",
                }],
                "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
            })),
            (ChatEvent = "text/event-stream", example = json!(CHAT_EVENTS)),
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
    call::answer(Endpoint::Chat, surface, visit, request, payload.into_inner()).await
}
