//! `xiaoyi balance`: what a customer has.

use clap::Args;
use serde_json::json;
use shared::config::Settings;
use shared::ledger::{self, LedgerError};

use super::{OfTenant, open, read};
use crate::failure::Failure;
use crate::output::Report;

/// What `balance` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  xiaoyi balance --tenant acme\n  xiaoyi balance --tenant acme --json")]
pub(crate) struct BalanceArguments {
    #[command(flatten)]
    tenant: OfTenant,
}

/// Shows it.
pub(crate) async fn run(settings: Settings, arguments: BalanceArguments) -> Result<Report, Failure> {
    let workbench = open(settings).await?;
    let tenant = arguments.tenant.find(&workbench).await?;
    let id = tenant.id;
    let found = read(&workbench, move |connection| Ok(ledger::balance(connection, id)?)).await?;
    let balance = found.ok_or(LedgerError::NoSuchAccount(id))?;
    let (currency, available) = (&workbench.settings.currency, balance.available());
    let object = json!({"currency": currency, "posted": balance.posted, "held": balance.held, "available": available});
    let amounts = [balance.posted, balance.held, available].map(|amount| amount.to_string());
    let width = amounts.iter().map(String::len).max().unwrap_or(0);
    let [posted, held, available] = amounts;
    let text = format!(
        "{name} ({currency})\n  posted     {posted:>width$}\n  held       {held:>width$}   set aside for running calls\n  available  {available:>width$}",
        name = tenant.name
    );
    Report::of(&object, text)
}
