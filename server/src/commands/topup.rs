//! `xiaoyi topup`: a customer's payment.

use clap::Args;
use serde_json::json;
use shared::audit_log::Entry;
use shared::clock::Timestamp;
use shared::config::Settings;
use shared::db::Connection;
use shared::id::{TenantId, TransferId};
use shared::ledger::TopUpDecision;
use shared::money::Amount;
use shared::top_ups::{self, Payment};
use shared::values;

use super::{OfTenant, open, record, write};
use crate::failure::Failure;
use crate::output::Report;

/// What `topup` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  xiaoyi topup --tenant acme --amount 10.00 --reference invoice-7
  xiaoyi topup --tenant acme --amount 10.00 --reference invoice-7      again: nothing is booked twice

A reference is unique per tenant. Asked again with the same amount, the first booking is shown; with another amount it is refused.")]
pub(crate) struct TopupArguments {
    #[command(flatten)]
    tenant: OfTenant,
    /// How much, above zero
    #[arg(long, allow_negative_numbers = true, value_parser = values::amount)]
    amount: Amount,
    /// The payment's own name, such as an invoice number
    #[arg(long)]
    reference: String,
    /// Words for people
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

/// Books it.
pub(crate) async fn run(settings: Settings, arguments: TopupArguments) -> Result<Report, Failure> {
    let TopupArguments { tenant, amount, reference, note } = arguments;
    let payment = Payment { amount, reference, note };
    payment.check()?;
    let workbench = open(settings).await?;
    let tenant = tenant.find(&workbench).await?;
    let (now, reference, account) = (workbench.clock.now(), payment.reference.clone(), tenant.id);
    let decision = write(&workbench, move |connection| book(connection, account, payment, now)).await?;
    let currency = &workbench.settings.currency;
    match decision {
        TopUpDecision::Posted { id, posted, replayed } => {
            let text = if replayed {
                format!(
                    "This payment was booked before; nothing was booked now. The balance of {} is {posted} {currency}.",
                    tenant.name
                )
            } else {
                format!("{amount} {currency} are booked. The balance of {} is {posted} {currency}.", tenant.name)
            };
            Report::of(&json!({"id": id, "posted": posted, "replayed": replayed}), text)
        }
        TopUpDecision::ReferenceTaken { amount } => {
            let message =
                format!("the reference {reference} belongs to a payment of {amount} {currency}; nothing was booked");
            Err(Failure::new("reference_taken", message))
        }
    }
}

/// Books it, and writes down that it was booked now.
fn book(
    connection: &mut Connection,
    tenant: TenantId,
    payment: Payment,
    now: Timestamp,
) -> Result<TopUpDecision, Failure> {
    let Payment { amount, reference, note } = payment.clone();
    let decision = top_ups::book(connection, TransferId::new(), tenant, payment, now)?;
    if let TopUpDecision::Posted { id, posted, replayed: false } = &decision {
        let after = json!({"amount": amount, "reference": reference, "note": note, "posted": posted});
        let subject = &id.to_string();
        let entry = Entry { action: "top_up.book", tenant: Some(tenant), subject, before: None, after: Some(after) };
        record(connection, entry, now)?;
    }
    Ok(decision)
}
