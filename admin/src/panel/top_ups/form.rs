//! What the form of a top-up sends, and whether it can be booked.

use actix_web::HttpRequest;
use serde::Deserialize;
use shared::clock::Timestamp;
use shared::id::TransferId;
use shared::money::Amount;
use shared::tenant::TenantOverview;
use shared::top_ups::{self, LONGEST_NOTE, LONGEST_REFERENCE, Payment, TopUpError, TopUpRecord};
use shared::values;

use super::failed;
use crate::frame::failure::Failed;
use crate::frame::once;
use crate::frame::page::Page;
use crate::frame::wrongs::Wrongs;
use crate::panel::Panel;
use crate::panel::tenants::choice::{Choice, chosen};

/// The smallest amount.
const SOMETHING: Amount = Amount::from_nanos(1);

/// What the form sends.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::panel) struct Fields {
    /// The id of the transfer that it will make.
    once: String,
    /// The tenant's id, where it is known.
    tenant: String,
    /// The tenant's name, where somebody types it.
    tenant_name: String,
    amount: String,
    reference: String,
    note: String,
    /// Not empty: back from the confirmation to the form.
    pub(super) change: String,
}

/// The form as it is shown.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) once: TransferId,
    pub(super) tenant: Choice,
    pub(super) amount: String,
    pub(super) reference: String,
    pub(super) note: String,
    pub(super) wrongs: Wrongs,
    /// What is to be said about the form as a whole.
    pub(super) said: Option<String>,
    /// A top-up that stands in the way.
    pub(super) other: Option<TransferId>,
}

impl Form {
    /// An empty form.
    pub(super) fn new(tenant: Choice) -> Self {
        Self::typed(tenant, &Fields::default())
    }

    /// A form in which this stands, for another transfer.
    fn typed(tenant: Choice, fields: &Fields) -> Self {
        Self {
            once: TransferId::new(),
            tenant,
            amount: fields.amount.clone(),
            reference: fields.reference.clone(),
            note: fields.note.clone(),
            wrongs: Wrongs::default(),
            said: None,
            other: None,
        }
    }

    /// The form that such a payment came from.
    pub(super) fn of(checked: Checked) -> Self {
        let Checked { once, tenant, payment } = checked;
        Self {
            once,
            tenant: Choice::of(Some(&tenant), ""),
            amount: payment.amount.to_string(),
            reference: payment.reference,
            note: payment.note.unwrap_or_default(),
            wrongs: Wrongs::default(),
            said: None,
            other: None,
        }
    }

    /// The same with something wrong.
    pub(super) fn refused(self, field: &'static str, words: &str) -> Self {
        Self { wrongs: Wrongs::one(field, words), ..self }
    }

    /// The same for another transfer, since its own was made before, by other values.
    pub(super) fn used_up(self, page: &Page, own: TransferId) -> Self {
        let said = page.say(
            "This form has booked a top-up before, with other values. Nothing was booked now. If this is another payment, send it again.",
            "该表单此前已用其他内容入账一笔充值，本次没有入账。如果这是另一笔付款，请再次提交。",
        );
        Self { once: TransferId::new(), said: Some(said.to_owned()), other: Some(own), ..self }
    }
}

/// A payment that can be confirmed.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) once: TransferId,
    pub(super) tenant: TenantOverview,
    pub(super) payment: Payment,
}

/// What a form comes to.
#[derive(Debug)]
pub(super) enum Answer {
    /// Something that can be confirmed.
    Confirm(Box<Checked>),
    /// It has been booked before, as this top-up.
    Booked(TransferId),
    /// The form again, with what is wrong.
    Again(Box<Form>),
}

/// Reads a form and looks for what stands in its way.
pub(super) async fn read(
    request: &HttpRequest,
    panel: &Panel,
    page: &Page,
    fields: &Fields,
    now: Timestamp,
) -> Result<Answer, Failed> {
    let mut wrongs = Wrongs::default();
    let payment = fields.payment(page, &mut wrongs).map_err(|error| failed(request, error))?;
    let whose = (fields.tenant.as_str(), fields.tenant_name.as_str());
    let tenant = chosen(request, panel, page, whose, &mut wrongs).await?;
    let form = Form { wrongs, ..Form::typed(Choice::of(tenant.as_ref(), &fields.tenant_name), fields) };
    let again = |form: Form| Ok(Answer::Again(Box::new(form)));
    let Some(once) = once::transfer(&fields.once, now) else {
        let said = page.say(
            "This form was open for more than a day. Look at it once more and send it again.",
            "该表单已打开超过一天，请核对后重新提交。",
        );
        return again(Form { said: Some(said.to_owned()), ..form });
    };
    let form = Form { once, ..form };
    let (Some(tenant), Some(payment)) = (tenant, payment) else { return again(form) };
    let (of, reference) = (tenant.tenant.id, payment.reference.clone());
    let found = panel.database.read(move |connection| {
        Ok((top_ups::find(connection, once)?, top_ups::referenced(connection, of, &reference)?))
    });
    match found.await.map_err(|error| Failed::database(request, &error))? {
        (Some(own), _) if is_of(&own, &tenant, &payment) => Ok(Answer::Booked(own.id)),
        (Some(own), _) => again(form.used_up(page, own.id)),
        (None, Some(other)) => {
            let (amount, currency) = (other.amount, page.currency());
            let english = format!("This reference belongs to a top-up of {amount} {currency}. Nothing was booked now.");
            let chinese = format!("该参考号已用于一笔 {amount} {currency} 的充值，本次没有入账。");
            again(Form { other: Some(other.id), ..form.refused("reference", page.say(&english, &chinese)) })
        }
        (None, None) => Ok(Answer::Confirm(Box::new(Checked { once, tenant, payment }))),
    }
}

/// Whether a top-up is just this payment.
pub(super) fn is_of(booked: &TopUpRecord, tenant: &TenantOverview, payment: &Payment) -> bool {
    booked.tenant == tenant.tenant.id
        && (booked.amount, &booked.reference, &booked.note) == (payment.amount, &payment.reference, &payment.note)
}

impl Fields {
    /// The payment that is meant, if it can be one.
    fn payment(&self, page: &Page, wrongs: &mut Wrongs) -> Result<Option<Payment>, TopUpError> {
        let no_amount =
            page.say("Give an amount above zero, such as 10 or 10.50.", "请填写大于零的金额，如 10 或 10.50。");
        let amount = wrongs.read("amount", &self.amount, no_amount, values::amount);
        let note = self.note.trim().to_owned();
        let payment = Payment {
            // With one that can be booked, so that the rest is looked at too.
            amount: amount.unwrap_or(SOMETHING),
            reference: self.reference.trim().to_owned(),
            note: (!note.is_empty()).then_some(note),
        };
        let (field, english, chinese) = match payment.check() {
            Ok(()) => return Ok(wrongs.is_empty().then_some(payment)),
            Err(TopUpError::NotPositive(_)) => ("amount", no_amount.to_owned(), no_amount.to_owned()),
            Err(TopUpError::BadReference) => (
                "reference",
                format!("A reference has 1 to {LONGEST_REFERENCE} characters and no control characters."),
                format!("参考号须为 1 至 {LONGEST_REFERENCE} 个字符，不含控制字符。"),
            ),
            Err(TopUpError::ReservedReference) => (
                "reference",
                "References that begin with code: are those of redeemed codes. Choose another one.".to_owned(),
                "以 code: 开头的参考号保留给兑换码，请另选。".to_owned(),
            ),
            Err(TopUpError::BadNote) => (
                "note",
                format!("A note is one line of at most {LONGEST_NOTE} characters."),
                format!("备注为一行文字，不超过 {LONGEST_NOTE} 个字符。"),
            ),
            Err(error) => return Err(error),
        };
        wrongs.add(field, page.say(&english, &chinese));
        Ok(None)
    }
}
