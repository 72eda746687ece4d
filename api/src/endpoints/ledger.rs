//! `GET /v1/ledger`: every movement of the balance, newest first, with the arithmetic of each charge.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use shared::ledger::{self, ChargeDetail, StatementEntry};
use shared::money::Amount;
use shared::refusal::{Reason, Refusal};

use crate::auth::KeyHolder;
use crate::reply::{self, Refused};
use crate::surface::Surface;
use crate::visit::Visit;
use crate::{arithmetic, query};

const USUAL_LIMIT: i64 = 100;
const MOST_ENTRIES: i64 = 1000;

#[derive(Serialize)]
struct Page {
    code: u32,
    msg: &'static str,
    object: &'static str,
    data: Vec<Entry>,
    has_more: bool,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct Entry {
    id: String,
    r#type: String,
    amount: Amount,
    balance: Amount,
    created_at: String,
    request_id: Option<String>,
    reference: Option<String>,
    note: Option<String>,
    charge: Option<Charge>,
}

#[derive(Serialize)]
struct Charge {
    model: String,
    endpoint: String,
    key: String,
    user: Option<String>,
    basis: String,
    prompt: Tokens,
    completion: Tokens,
    images: Images,
    written_off: Amount,
    finished_early: bool,
    arithmetic: String,
}

#[derive(Serialize)]
struct Tokens {
    hanzi: i64,
    words: i64,
    tokens: i64,
    upstream_tokens: Option<i64>,
    price_per_million: Amount,
    cost: Amount,
}

#[derive(Serialize)]
struct Images {
    count: i64,
    size: Option<String>,
    price: Amount,
    cost: Amount,
}

pub(crate) async fn get(
    KeyHolder(caller): KeyHolder,
    surface: web::Data<Surface>,
    visit: Visit,
    request: HttpRequest,
) -> Result<HttpResponse, Refused> {
    let [limit, cursor] = query::read(&request, ["limit", "cursor"])?;
    let limit = whole_number("limit", limit.as_deref(), 1..=MOST_ENTRIES)?.unwrap_or(USUAL_LIMIT);
    let before = whole_number("cursor", cursor.as_deref(), 1..=i64::MAX)?;
    let (tenant, key) = (caller.tenant, caller.sees_only());
    let page =
        surface.read(&visit, move |connection| ledger::statement(connection, tenant, key, before, limit)).await?;
    let next_cursor = page.next.map(|next| next.to_string());
    let data = page.entries.into_iter().map(Entry::from).collect();
    reply::json(&Page { code: 0, msg: "", object: "list", data, has_more: next_cursor.is_some(), next_cursor })
}

fn whole_number(name: &str, text: Option<&str>, range: std::ops::RangeInclusive<i64>) -> Result<Option<i64>, Refusal> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    if let Some(number) = text.parse().ok().filter(|number| range.contains(number)) {
        return Ok(Some(number));
    }
    let message = match name {
        "cursor" => "cursor must be the next_cursor of the page before".to_owned(),
        _ => format!("{name} must be a whole number from {} to {}", range.start(), range.end()),
    };
    Err(Refusal::of_field(Reason::InvalidParameter, name, message))
}

impl From<StatementEntry> for Entry {
    fn from(entry: StatementEntry) -> Self {
        Self {
            id: entry.transfer.to_string(),
            r#type: entry.kind,
            amount: entry.delta,
            balance: entry.balance,
            created_at: entry.created_at.to_rfc3339(),
            request_id: entry.request_id.map(|request_id| request_id.to_string()),
            reference: entry.reference,
            note: entry.note,
            charge: entry.charge.map(Charge::from),
        }
    }
}

impl From<ChargeDetail> for Charge {
    fn from(charge: ChargeDetail) -> Self {
        Self {
            arithmetic: arithmetic::of(&charge),
            prompt: Tokens {
                hanzi: charge.prompt_hanzi,
                words: charge.prompt_words,
                tokens: charge.prompt_tokens,
                upstream_tokens: charge.upstream_prompt,
                price_per_million: Amount::from_nanos(charge.prompt_price),
                cost: Amount::from_nanos(charge.prompt_cost),
            },
            completion: Tokens {
                hanzi: charge.completion_hanzi,
                words: charge.completion_words,
                tokens: charge.completion_tokens,
                upstream_tokens: charge.upstream_completion,
                price_per_million: Amount::from_nanos(charge.completion_price),
                cost: Amount::from_nanos(charge.completion_cost),
            },
            images: Images {
                count: charge.images,
                size: charge.image_size,
                price: Amount::from_nanos(charge.image_price),
                cost: Amount::from_nanos(charge.image_cost),
            },
            written_off: Amount::from_nanos(charge.written_off),
            model: charge.model,
            endpoint: charge.endpoint,
            key: charge.key_id,
            user: charge.end_user,
            basis: charge.basis,
            finished_early: charge.finished_early,
        }
    }
}
