//! `/top-ups/new`, `POST /top-ups/confirm` and `POST /top-ups`: a customer's payment. The transfer's id is made when the form is rendered, so a
//! double click, or the same form twice, is one top-up.

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use serde_json::json;
use shared::audit_log::{self, Entry};
use shared::id::TransferId;
use shared::ledger::{LedgerError, TopUpDecision};
use shared::money::Amount;
use shared::top_ups::{self, TopUpError};

use super::failed;
use super::form::{self, Answer, Checked, Fields, Form, is_of};
use crate::frame::failure::{Failed, Handled};
use crate::frame::page::{self, Page, go_to};
use crate::frame::posted::Posted;
use crate::frame::wrongs::Wrongs;
use crate::panel::Panel;
use crate::panel::access::{May, MoveMoney};
use crate::panel::tenants::choice::Choice;

#[derive(Template)]
#[template(path = "panel/top_ups/new.html")]
struct FormPage<'a> {
    page: &'a Page,
    form: &'a Form,
    wrongs: &'a Wrongs,
}

#[derive(Template)]
#[template(path = "panel/top_ups/confirm.html")]
struct Confirmation<'a> {
    page: &'a Page,
    checked: &'a Checked,
    /// The balance once it is booked.
    after: Amount,
}

/// What became of a form in the transaction that was to book it.
enum Written {
    /// It is this top-up; `replayed`: one that was booked before, by another form.
    Posted { id: TransferId, replayed: bool },
    /// It has made another top-up before.
    Used(TransferId),
    /// The reference belongs to a top-up of another amount.
    ReferenceTaken,
}

/// Shows the form.
pub(in crate::panel) async fn new(request: HttpRequest, staff: May<MoveMoney>, panel: Data<Panel>) -> Handled {
    let form = Form::new(Choice::asked(&request, &panel).await?);
    page::show(&request, &staff.page, &FormPage::of(&staff.page, &form))
}

/// Shows what will be booked, for whom, and the balance before and after.
pub(in crate::panel) async fn confirm(
    request: HttpRequest,
    staff: May<MoveMoney>,
    panel: Data<Panel>,
    Posted(fields): Posted<Fields>,
) -> Handled {
    let page = &staff.page;
    let checked = match form::read(&request, &panel, page, &fields, staff.now).await? {
        Answer::Confirm(checked) => *checked,
        Answer::Booked(id) => return go_to(format!("/top-ups/{id}")),
        Answer::Again(form) => return show_again(&request, page, &form),
    };
    if !fields.change.is_empty() {
        return page::show(&request, page, &FormPage::of(page, &Form::of(checked)));
    }
    match checked.tenant.balance.posted.checked_add(checked.payment.amount) {
        Some(after) => page::show(&request, page, &Confirmation { page, checked: &checked, after }),
        None => show_again(&request, page, &too_large(page, checked)),
    }
}

/// Books it.
pub(in crate::panel) async fn book(
    request: HttpRequest,
    staff: May<MoveMoney>,
    panel: Data<Panel>,
    Posted(fields): Posted<Fields>,
) -> Handled {
    let page = &staff.page;
    let checked = match form::read(&request, &panel, page, &fields, staff.now).await? {
        Answer::Confirm(checked) => *checked,
        Answer::Booked(id) => return go_to(format!("/top-ups/{id}")),
        Answer::Again(form) => return show_again(&request, page, &form),
    };
    let form = match write(&request, &staff, &panel, &checked).await? {
        Ok(Written::Posted { id, replayed: false }) => return go_to(format!("/top-ups/{id}")),
        Ok(Written::Posted { id, replayed: true }) => return go_to(format!("/top-ups/{id}?again=yes")),
        // The second is of some other transfer: no form of ours does that, but nothing is booked either.
        Ok(Written::Used(other)) | Err(TopUpError::IdTaken(other)) => Form::of(checked).used_up(page, other),
        Ok(Written::ReferenceTaken) => {
            let english = "This reference belongs to a top-up of another amount. Nothing was booked now.";
            Form::of(checked)
                .refused("reference", page.say(english, "该参考号已用于另一笔金额不同的充值，本次没有入账。"))
        }
        Err(TopUpError::Ledger(LedgerError::TooLarge)) => too_large(page, checked),
        Err(error) => return Err(failed(&request, error)),
    };
    show_again(&request, page, &form)
}

async fn write(
    request: &HttpRequest,
    staff: &May<MoveMoney>,
    panel: &Panel,
    checked: &Checked,
) -> Result<Result<Written, TopUpError>, Failed> {
    let Checked { once, tenant, payment } = checked;
    let (once, tenant, payment) = (*once, tenant.clone(), payment.clone());
    let (of, origin, now) = (tenant.tenant.id, staff.origin(), staff.now);
    let written = staff.write(request, panel, move |connection| {
        if let Some(own) = top_ups::find(connection, once)? {
            return Ok(if is_of(&own, &tenant, &payment) {
                Written::Posted { id: own.id, replayed: false }
            } else {
                Written::Used(own.id)
            });
        }
        match top_ups::book(connection, once, of, payment.clone(), now)? {
            TopUpDecision::Posted { id, posted, replayed: false } => {
                // Not read before: calls could have been charged between the reading and the booking.
                let before = posted.checked_sub(payment.amount);
                let entry = Entry {
                    action: "top_up.book",
                    tenant: Some(of),
                    subject: &id.to_string(),
                    before: Some(json!({"posted": before})),
                    after: Some(json!({
                        "posted": posted,
                        "amount": payment.amount,
                        "reference": payment.reference,
                        "note": payment.note,
                    })),
                };
                audit_log::record(connection, &origin, &entry, now)?;
                Ok(Written::Posted { id, replayed: false })
            }
            TopUpDecision::Posted { id, replayed: true, .. } => Ok(Written::Posted { id, replayed: true }),
            TopUpDecision::ReferenceTaken { .. } => Ok(Written::ReferenceTaken),
        }
    });
    written.await
}

fn too_large(page: &Page, checked: Checked) -> Form {
    let english = "With this amount the balance would be too large to be kept. Nothing was booked.";
    Form::of(checked).refused("amount", page.say(english, "加上该金额后余额将超出可记录的范围，没有入账。"))
}

fn show_again(request: &HttpRequest, page: &Page, form: &Form) -> Handled {
    page::show_again(request, page, &FormPage::of(page, form))
}

impl<'a> FormPage<'a> {
    const fn of(page: &'a Page, form: &'a Form) -> Self {
        Self { page, form, wrongs: &form.wrongs }
    }
}
