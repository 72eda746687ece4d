//! A real call from a form: through the same admission as every other one, with the key's own rules and limits, and with what it cost.

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::admission::request::{Body, Rules};
use shared::admission::{Call, CallRequest, Step, without_an_end};
use shared::calls;
use shared::db::DbError;
use shared::id::RequestId;
use shared::keyring::Caller;
use shared::money::Amount;
use shared::queue::Endpoint;
use shared::refusal::{Reason, Refusal};
use shared::sent_forms::{self, SentForm};
use shared::throttle::TooMany;

use super::Console;
use super::access::{Developer, Sent};
use super::samples::sample_model;
use crate::frame::arithmetic::{self, Arithmetic};
use crate::frame::failure::{Failed, Handled, Problem};
use crate::frame::once;
use crate::frame::page::{self, Page};

/// The most characters of a text: as hanzi they fill most of a form.
const LONGEST_TEXT: usize = 5000;
/// The longest answer that is usually asked for, in tokens: it is what is held for the call.
const USUAL_TOKENS: &str = "256";

/// What the form sends.
#[derive(Debug, Deserialize)]
pub(super) struct Fields {
    /// The form's own id.
    #[serde(default)]
    once: String,
    #[serde(default)]
    model: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    max_tokens: String,
}

#[derive(Template)]
#[template(path = "console/playground.html")]
struct Playground<'a> {
    page: &'a Page,
    developer: &'a Developer,
    models: Vec<String>,
    /// Whether no model is served that the form could begin with.
    unserved: bool,
    /// The form's own id.
    once: RequestId,
    model: &'a str,
    text: &'a str,
    max_tokens: &'a str,
    played: Option<Played>,
}

/// What became of a call.
struct Played {
    request_id: RequestId,
    outcome: Outcome,
}

enum Outcome {
    /// The answer, and what it cost.
    Answered { text: String, finish_reason: String, charged: Amount, arithmetic: Option<Arithmetic> },
    /// Why there is none, in the words of the API.
    Refused(Refusal),
    /// This form made the call before.
    Before,
}

/// Shows the form.
pub(super) async fn show(request: HttpRequest, developer: Developer, console: Data<Console>) -> Handled {
    let page = &developer.page;
    let model = sample_model(&console, &developer).unwrap_or_default();
    let text = page.say("Introduce yourself, please.", "请介绍一下你自己");
    page::show(&request, page, &anew(&console, &developer, (&model, text, USUAL_TOKENS), None))
}

/// Makes the call, waits for its end, and shows what came of it.
pub(super) async fn play(
    request: HttpRequest,
    console: Data<Console>,
    Sent { developer, fields }: Sent<Fields>,
) -> Handled {
    let form = once::form(&fields.once, developer.now).ok_or_else(|| Failed::out_of_date(&request))?;
    let request_id = RequestId::new();
    let caller = developer.session.caller();
    let played = match wanted(&console, &caller, &fields) {
        // Nothing was asked of anybody yet, so the same form may come again.
        Err(refusal) => {
            let model = Some(fields.model.as_str()).filter(|_| refusal.reason != Reason::ModelNotFound);
            console.admission.count_refusal(caller.tenant, caller.key, model, refusal.reason);
            Played { request_id, outcome: Outcome::Refused(refusal) }
        }
        Ok(wanted) => match sent(&request, &console, &developer, form, request_id).await? {
            Some(before) => Played { request_id: before, outcome: Outcome::Before },
            None => {
                let outcome = match console.admission.admit(&caller, request_id, wanted, None).await {
                    Ok(call) => end_of(&console, &developer, call).await,
                    Err(not_admitted) => Outcome::Refused(not_admitted.refusal),
                };
                Played { request_id, outcome }
            }
        },
    };
    let typed = (fields.model.as_str(), fields.text.as_str(), fields.max_tokens.as_str());
    let (page, status) = (&developer.page, actix_web::http::StatusCode::OK);
    page::show_with(&request, page, status, &anew(&console, &developer, typed, Some(played)))
}

/// Writes down that the form makes the call `request_id`, before anything is asked of anybody; gives the call that it made before, if it did.
async fn sent(
    request: &HttpRequest,
    console: &Data<Console>,
    developer: &Developer,
    form: RequestId,
    request_id: RequestId,
) -> Result<Option<RequestId>, Failed> {
    let (database, console) = (console.database.clone(), console.clone());
    let (key, now) = (developer.key(), developer.now);
    let sent = database.write(move |connection| {
        if let Some(known) = sent_forms::find(connection, form, key)? {
            return Ok(Ok(Some(known)));
        }
        if let Err(too_many) = console.throttles.call(key) {
            return Ok(Err(too_many));
        }
        sent_forms::remember(connection, form, key, request_id, now)?;
        Ok::<_, DbError>(Ok(None))
    });
    match sent.await.map_err(|error| Failed::database(request, &error))? {
        Ok(None) => Ok(None),
        Ok(Some(SentForm::Made(call))) => Ok(Some(call)),
        Ok(Some(SentForm::Foreign)) => Err(Failed::out_of_date(request)),
        Err(TooMany { retry_after_s }) => Err(Failed::new(request, Problem::TooMany { retry_after_s })),
    }
}

/// A new form with what was typed.
fn anew<'a>(
    console: &Console,
    developer: &'a Developer,
    (model, text, max_tokens): (&'a str, &'a str, &'a str),
    played: Option<Played>,
) -> Playground<'a> {
    let models = console.admission.models(&developer.session.caller());
    let unserved = sample_model(console, developer).is_none();
    Playground {
        page: &developer.page,
        developer,
        models,
        unserved,
        once: RequestId::new(),
        model,
        text,
        max_tokens,
        played,
    }
}

/// The call that the form asks for, by the rules for OpenAI's clients.
fn wanted(console: &Console, caller: &Caller, fields: &Fields) -> Result<CallRequest, Refusal> {
    let wrong = |field: &str, message: &str| Refusal::of_field(Reason::InvalidParameter, field, message);
    if fields.text.trim().is_empty() || fields.text.chars().count() > LONGEST_TEXT {
        return Err(wrong("text", &format!("the text must have 1 to {LONGEST_TEXT} characters")));
    }
    let max_tokens = match fields.max_tokens.trim() {
        "" => None,
        number => Some(number.parse::<u32>().map_err(|_| wrong("max_tokens", "max_tokens must be a whole number"))?),
    };
    let mut body = json!({"model": fields.model, "messages": [{"role": "user", "content": fields.text}]});
    if let Some(max_tokens) = max_tokens {
        body["max_tokens"] = max_tokens.into();
    }
    let bytes = body.to_string();
    let body = Body::parse(bytes.as_bytes())?;
    let model = body.model(Endpoint::Chat, &console.settings.models)?;
    let limits = console.admission.model(caller, &model)?;
    body.call(Endpoint::Chat, Rules::OpenAi, model, &limits)
}

/// Waits for the end of a call. A browser that leaves drops this, and calls the call off.
async fn end_of(console: &Console, developer: &Developer, mut call: Call) -> Outcome {
    let request_id = call.request_id();
    while let Some(step) = call.next().await {
        match step {
            // Nobody asked for a stream; the end brings all of it.
            Step::Chunk(_) => {}
            Step::Answered { held_back, charged } => {
                let (text, finish_reason) = answer(&held_back.concat());
                let arithmetic = arithmetic(console, developer, request_id).await;
                return Outcome::Answered { text, finish_reason, charged, arithmetic };
            }
            Step::Failed(failed) => return Outcome::Refused(failed.told(developer.page.currency())),
        }
    }
    tracing::error!(%request_id, "a call ended without an end");
    Outcome::Refused(without_an_end(request_id))
}

/// The text of a whole reply, and why it ended there.
fn answer(reply: &[u8]) -> (String, String) {
    let reply: Value = serde_json::from_slice(reply).unwrap_or_default();
    let choice = &reply["choices"][0];
    let text = choice["message"]["content"].as_str().or_else(|| choice["message"]["refusal"].as_str());
    let finish_reason = choice["finish_reason"].as_str().unwrap_or_default();
    (text.unwrap_or_default().to_owned(), finish_reason.to_owned())
}

/// The arithmetic of the charge. It is in the ledger by now; that it cannot be read does not take the answer away.
async fn arithmetic(console: &Console, developer: &Developer, request_id: RequestId) -> Option<Arithmetic> {
    let read = move |connection: &mut _| calls::detail(connection, request_id);
    match console.database.read_records(read).await {
        Ok(call) => call?.charge.map(|charge| arithmetic::of(&charge, developer.page.language)),
        Err(error) => {
            tracing::error!(%request_id, %error, "the arithmetic of a charge could not be read");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_reply_is_found_or_nothing_is() {
        let reply = br#"{"choices":[{"message":{"content":"<b>hi</b>"},"finish_reason":"stop"}]}"#;
        assert_eq!(answer(reply), ("<b>hi</b>".to_owned(), "stop".to_owned()));
        let refused = br#"{"choices":[{"message":{"content":null,"refusal":"no"},"finish_reason":"stop"}]}"#;
        assert_eq!(answer(refused).0, "no");
        for other in [&b"{}"[..], b"", b"[]", br#"{"choices":[]}"#] {
            assert_eq!(answer(other), (String::new(), String::new()));
        }
    }
}
