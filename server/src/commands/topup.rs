//! `xiaoyi topup`: a customer's payment.

use clap::Args;
use serde_json::json;
use shared::audit_log::Entry;
use shared::clock::Timestamp;
use shared::config::Settings;
use shared::db::Connection;
use shared::id::TransferId;
use shared::ledger::{self, Operation, Outcome, TopUp, TopUpDecision};
use shared::money::Amount;
use shared::values;

use super::{OfTenant, open, record, write};
use crate::failure::Failure;
use crate::output::Report;

const LONGEST_REFERENCE: usize = 200;
const LONGEST_NOTE: usize = 1000;

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
    check(amount, &reference, note.as_deref())?;
    let workbench = open(settings).await?;
    let tenant = tenant.find(&workbench).await?;
    let top_up = TopUp { id: TransferId::new(), account: tenant.id, amount, reference: reference.clone(), note };
    let now = workbench.clock.now();
    let outcome = write(&workbench, move |connection| book(connection, top_up, now)).await?;
    let currency = &workbench.settings.currency;
    match outcome {
        Outcome::TopUp(TopUpDecision::Posted { id, posted, replayed }) => {
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
        Outcome::TopUp(TopUpDecision::ReferenceTaken { amount }) => {
            let message =
                format!("the reference {reference} belongs to a payment of {amount} {currency}; nothing was booked");
            Err(Failure::new("reference_taken", message))
        }
        other => Err(Failure::internal(format!("the ledger answered another question: {other:?}"))),
    }
}

/// Books it, and writes down that it was booked now.
fn book(connection: &mut Connection, top_up: TopUp, now: Timestamp) -> Result<Outcome, Failure> {
    let outcome = ledger::apply_one(connection, Operation::TopUp(top_up.clone()), now)?;
    if let Outcome::TopUp(TopUpDecision::Posted { id, posted, replayed: false }) = &outcome {
        let TopUp { account, amount, reference, note, .. } = &top_up;
        let after = json!({"amount": amount, "reference": reference, "note": note, "posted": posted});
        let subject = &id.to_string();
        let entry = Entry { action: "top_up.book", tenant: Some(*account), subject, before: None, after: Some(after) };
        record(connection, entry, now)?;
    }
    Ok(outcome)
}

fn check(amount: Amount, reference: &str, note: Option<&str>) -> Result<(), Failure> {
    if amount <= Amount::ZERO {
        return Err(Failure::new(
            "amount_not_positive",
            format!("the amount must be above zero, not {amount}; nothing was booked"),
        ));
    }
    if !fits(reference, 1, LONGEST_REFERENCE) || reference.trim() != reference {
        let message = format!(
            "a reference has 1 to {LONGEST_REFERENCE} characters, no control characters, and no space around it"
        );
        return Err(Failure::new("bad_reference", message));
    }
    if !note.is_none_or(|note| fits(note, 0, LONGEST_NOTE)) {
        return Err(Failure::new(
            "bad_note",
            format!("a note has at most {LONGEST_NOTE} characters and no control characters"),
        ));
    }
    Ok(())
}

fn fits(text: &str, least: usize, most: usize) -> bool {
    (least..=most).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::fine(1, "invoice-7", None, None)]
    #[case::hanzi(1, "发票七", Some("谢谢".to_owned()), None)]
    #[case::zero(0, "r", None, Some("amount_not_positive"))]
    #[case::negative(-1, "r", None, Some("amount_not_positive"))]
    #[case::no_reference(1, "", None, Some("bad_reference"))]
    #[case::spaces(1, " r", None, Some("bad_reference"))]
    #[case::control(1, "a\tb", None, Some("bad_reference"))]
    #[case::long_reference(1, &"r".repeat(201), None, Some("bad_reference"))]
    #[case::longest_reference(1, &"小".repeat(200), None, None)]
    #[case::long_note(1, "r", Some("n".repeat(1001)), Some("bad_note"))]
    fn checks(#[case] nanos: i64, #[case] reference: &str, #[case] note: Option<String>, #[case] code: Option<&str>) {
        let checked = check(Amount::from_nanos(nanos), reference, note.as_deref());
        assert_eq!(checked.err().map(|failure| failure.code), code);
    }
}
