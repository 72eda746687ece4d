//! `GET /v1/ledger`: every movement of the balance, newest first, with the arithmetic of each charge.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use shared::ledger::{self, ChargeDetail, StatementEntry};
use shared::money::Amount;
use shared::refusal::{Reason, Refusal};
use utoipa::ToSchema;

use crate::auth::KeyHolder;
use crate::description::{Cursor, Money, PageSize, QueryRefusals};
use crate::reply::{self, Refused};
use crate::surface::{Surface, was_read};
use crate::visit::Visit;
use crate::{arithmetic, query};

const USUAL_LIMIT: i64 = 100;
const MOST_ENTRIES: i64 = 1000;

/// A page of the ledger.
#[derive(Serialize, ToSchema)]
#[schema(as = LedgerPage)]
pub(crate) struct Page {
    code: u32,
    msg: &'static str,
    object: &'static str,
    #[schema(max_items = 1000)]
    data: Vec<Entry>,
    /// Whether there may be more, also where this page is not full: a key that seldom calls has few of its account's entries.
    has_more: bool,
    /// The `cursor` of the next page.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// A movement of the balance.
#[derive(Serialize, ToSchema)]
#[schema(as = LedgerEntry)]
struct Entry {
    id: String,
    /// `top_up` (a payment, or a redeemed code), `capture` (a charge), or `reversal` (something given or taken back).
    r#type: String,
    /// By how much the balance changed.
    #[schema(value_type = Money)]
    amount: Amount,
    /// The balance afterwards.
    #[schema(value_type = Money)]
    balance: Amount,
    #[schema(format = DateTime)]
    created_at: String,
    /// The call's `x-request-id`.
    #[schema(required)]
    request_id: Option<String>,
    #[schema(required)]
    reference: Option<String>,
    #[schema(required)]
    note: Option<String>,
    /// What the movement is made of, where it is a charge.
    #[schema(required)]
    charge: Option<Charge>,
}

/// What was charged, and why.
#[derive(Serialize, ToSchema)]
struct Charge {
    model: String,
    endpoint: String,
    /// The id of the key.
    key: String,
    /// The end user that the call named.
    #[schema(required)]
    user: Option<String>,
    /// Whose count was billed: `estimate` (ours) or `upstream` (the provider's).
    basis: String,
    prompt: Tokens,
    completion: Tokens,
    images: Images,
    /// What went beyond the balance, and was not charged.
    #[schema(value_type = Money)]
    written_off: Amount,
    /// Whether the answer broke off, or its client left.
    finished_early: bool,
    /// The sum, written out.
    arithmetic: String,
}

/// The tokens of a prompt or of an answer.
#[derive(Serialize, ToSchema)]
#[schema(as = ChargedTokens)]
struct Tokens {
    hanzi: i64,
    words: i64,
    /// The estimate: hanzi + words x 1.3, rounded down once per text.
    tokens: i64,
    /// The provider's own count, if it gave one.
    #[schema(required)]
    upstream_tokens: Option<i64>,
    #[schema(value_type = Money)]
    price_per_million: Amount,
    #[schema(value_type = Money)]
    cost: Amount,
}

/// The images that were delivered.
#[derive(Serialize, ToSchema)]
#[schema(as = ChargedImages)]
struct Images {
    count: i64,
    #[schema(required)]
    size: Option<String>,
    #[schema(value_type = Money)]
    price: Amount,
    #[schema(value_type = Money)]
    cost: Amount,
}

/// Every movement of the balance, newest first
///
/// A key sees its own calls; one that was issued with `--console tenant` all of the account's.
#[utoipa::path(
    get, path = "/v1/ledger", tag = "records", operation_id = "listLedger",
    params(
        ("limit" = Option<PageSize>, Query, description = "The most entries of the reply."),
        ("cursor" = Option<Cursor>, Query, description = "The `next_cursor` of the page before."),
    ),
    responses(
        (status = 200, description = "A page of the ledger, with the arithmetic of each charge.", body = Page, example = json!({
            "code": 0, "msg": "", "object": "list", "has_more": true, "next_cursor": "7",
            "data": [{
                "id": "019ac4f0-0000-7000-8000-000000000007", "type": "capture", "amount": "-0.0002", "balance": "9.9998",
                "created_at": "2026-01-31T08:00:00.000Z", "request_id": "019ac4f0-0000-7000-8000-000000000007",
                "reference": null, "note": null,
                "charge": {
                    "model": "gpt-3.5", "endpoint": "chat", "key": "000000000000", "user": null, "basis": "estimate",
                    "prompt": {
                        "hanzi": 2, "words": 3, "tokens": 5, "upstream_tokens": 5, "price_per_million": "10.00", "cost": "0.00005",
                    },
                    "completion": {
                        "hanzi": 2, "words": 3, "tokens": 5, "upstream_tokens": 5, "price_per_million": "30.00", "cost": "0.00015",
                    },
                    "images": {"count": 0, "size": null, "price": "0.30", "cost": "0.00"},
                    "written_off": "0.00", "finished_early": false,
                    "arithmetic": "prompt: 2 hanzi + 3 words x 1.3 = 5 tokens; 5 x 10.00 / 1,000,000 = 0.00005; \
                                   completion: 2 hanzi + 3 words x 1.3 = 5 tokens; 5 x 30.00 / 1,000,000 = 0.00015; together 0.0002",
                },
            }],
        })),
        QueryRefusals,
    ),
)]
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
    let database = &surface.deployment.database;
    let page = was_read(&visit, ledger::statement_page(database, tenant, key, before, limit).await)?;
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
