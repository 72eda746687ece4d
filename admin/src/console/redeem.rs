//! Redeeming a code: first its worth is shown, with the balance before and after; only the second form books it.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, RETRY_AFTER};
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;
use serde_json::json;
use shared::audit_log::{self, Entry};
use shared::db::Connection;
use shared::id::TransferId;
use shared::ledger::{self, Balance};
use shared::money::Amount;
use shared::secret_key::without_keys;
use shared::throttle::TooMany;
use shared::top_ups::{self, TopUpRecord};
use shared::vouchers::{self, Code, NotACode, Redeemed, VoucherError};

use super::Console;
use super::access::{Developer, Sent};
use crate::frame::failure::{Failed, Handled};
use crate::frame::page::{self, Page, go_to};
use crate::frame::paging;

/// What the page is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    /// The top-up of a code that was redeemed.
    done: String,
}

/// What the forms send.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
pub(super) struct Fields {
    code: String,
    /// Set by the second form.
    confirmed: String,
}

#[derive(Template)]
#[template(path = "console/redeem.html")]
struct Redeem<'a> {
    page: &'a Page,
    developer: &'a Developer,
    balance: Balance,
    code: &'a str,
    error: &'a str,
    /// What was booked.
    done: Option<TopUpRecord>,
}

#[derive(Template)]
#[template(path = "console/redeem_confirm.html")]
struct Confirm<'a> {
    page: &'a Page,
    developer: &'a Developer,
    balance: Balance,
    code: &'a str,
    amount: Amount,
    after: Amount,
}

/// Shows the form, and what was booked.
pub(super) async fn show(request: HttpRequest, developer: Developer, console: Data<Console>) -> Handled {
    let done: Option<TransferId> = paging::filters::<Asked>(&request).done.parse().ok();
    let tenant = developer.tenant();
    let read = console.database.read_records(move |connection| {
        let done = done.map(|id| top_ups::find(connection, id)).transpose()?.flatten();
        Ok((ledger::balance(connection, tenant)?, done.filter(|done| done.tenant == tenant)))
    });
    let (balance, done) = read.await.map_err(|error| Failed::database(&request, &error))?;
    let balance = balance.ok_or_else(|| Failed::internal(&request, "a key's tenant has no account"))?;
    let page = &developer.page;
    page::show(&request, page, &Redeem { page, developer: &developer, balance, code: "", error: "", done })
}

/// Shows what a code is worth, or books it.
pub(super) async fn redeem(
    request: HttpRequest,
    console: Data<Console>,
    Sent { developer, fields }: Sent<Fields>,
) -> Handled {
    let page = &developer.page;
    let (tenant, key, now) = (developer.tenant(), developer.key(), developer.now);
    let balance = console.database.read_records(move |connection| ledger::balance(connection, tenant)).await;
    let balance = balance.map_err(|error| Failed::database(&request, &error))?;
    let balance = balance.ok_or_else(|| Failed::internal(&request, "a key's tenant has no account"))?;
    // Whoever takes a Secret Key for a code is not shown it again.
    let typed = without_keys(fields.code.clone());
    let again = |error: &str, status: StatusCode| {
        let form = Redeem { page, developer: &developer, balance, code: &typed, error, done: None };
        page::show_with(&request, page, status, &form)
    };
    let code = match Code::parse(&fields.code) {
        Ok(code) => code,
        Err(not_a_code) => return again(mistyped(not_a_code, page), StatusCode::UNPROCESSABLE_ENTITY),
    };
    let too_often = |TooMany { retry_after_s }: TooMany| {
        let english = format!("There were too many codes. Nothing was booked; try again in {retry_after_s} s.");
        let chinese = format!("尝试次数过多。未入账，请在 {retry_after_s} 秒后重试。");
        let mut reply = again(page.say(&english, &chinese), StatusCode::TOO_MANY_REQUESTS)?;
        reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry_after_s));
        Ok(reply)
    };
    if fields.confirmed.is_empty() {
        if let Err(too_many) = console.throttles.code(key) {
            return too_often(too_many);
        }
        let read = move |connection: &mut Connection| vouchers::worth(connection, &code, now);
        let worth = console.database.read_records(read).await.map_err(|error| Failed::database(&request, &error))?;
        return match worth {
            Ok(amount) => {
                let after = balance.posted.checked_add(amount).unwrap_or(balance.posted);
                let code = &fields.code;
                let confirm = Confirm { page, developer: &developer, balance, code, amount, after };
                page::show(&request, page, &confirm)
            }
            Err(redeemed) => again(&refused(&redeemed, page), StatusCode::UNPROCESSABLE_ENTITY),
        };
    }
    let (database, origin) = (console.database.clone(), developer.origin());
    let done = database.write(move |connection| {
        // Whose code it was already is shown what was booked then: this is the second click, and no other try.
        if let Some(transfer) = vouchers::redeemed_by(connection, &code, tenant, key)? {
            return Ok(Done::Booked(transfer));
        }
        if let Err(too_many) = console.throttles.code(key) {
            return Ok(Done::TooMany(too_many));
        }
        let redeemed = vouchers::redeem(connection, &code, tenant, key, now)?;
        let Redeemed::Redeemed { amount, posted, transfer } = redeemed else { return Ok(Done::Refused(redeemed)) };
        let after = json!({"transfer": transfer, "amount": amount, "posted": posted});
        let (subject, tenant) = (transfer.to_string(), Some(tenant));
        let entry = Entry { action: "code.redeem", tenant, subject: &subject, before: None, after: Some(after) };
        audit_log::record(connection, &origin, &entry, now)?;
        Ok(Done::Booked(transfer))
    });
    match done.await {
        Ok(Done::Booked(transfer)) => go_to(format!("/console/redeem?done={transfer}")),
        Ok(Done::TooMany(too_many)) => too_often(too_many),
        Ok(Done::Refused(refusal)) => again(&refused(&refusal, page), StatusCode::UNPROCESSABLE_ENTITY),
        Err(VoucherError::Ledger(ledger::LedgerError::Database(error))) => Err(Failed::database(&request, &error)),
        Err(error) => Err(Failed::internal(&request, error)),
    }
}

/// What became of a second form.
enum Done {
    /// This is the top-up, of now or of the same form before.
    Booked(TransferId),
    /// Nothing was booked: it was tried too often.
    TooMany(TooMany),
    /// Nothing was booked, for this reason.
    Refused(Redeemed),
}

fn mistyped<'a>(not_a_code: NotACode, page: &Page) -> &'a str {
    match not_a_code {
        NotACode::Length => page.say(
            "A code has 28 letters and digits in seven groups. Nothing was booked.",
            "兑换码由七组共 28 个字母和数字组成。未入账。",
        ),
        NotACode::Alphabet => page.say(
            "A code has only letters (none of them a U) and digits. Nothing was booked.",
            "兑换码只包含字母（不含 U）和数字。未入账。",
        ),
        NotACode::Check => page.say(
            "This is not a code of this service: a character is wrong, or two have changed places. Nothing was booked.",
            "这不是本服务的兑换码：可能有字符输错或顺序颠倒。未入账。",
        ),
    }
}

fn refused(redeemed: &Redeemed, page: &Page) -> String {
    let text = match redeemed {
        Redeemed::Redeemed { .. } => "",
        Redeemed::Unknown => page.say("This code is not known. Nothing was booked.", "未找到该兑换码。未入账。"),
        Redeemed::AlreadyRedeemed => {
            page.say("This code was redeemed before. Nothing was booked now.", "该兑换码已被使用。本次未入账。")
        }
        Redeemed::BatchRevoked => page.say(
            "This code is not valid any more. Nothing was booked; ask whoever gave it to you.",
            "该兑换码已失效。未入账，请联系提供者。",
        ),
        Redeemed::Expired { .. } => page.say("This code has expired. Nothing was booked.", "该兑换码已过期。未入账。"),
    };
    text.to_owned()
}
