//! `xiaoyi ledger`: proves that the accounts are right.

use std::io::IsTerminal;

use clap::Subcommand;
use shared::config::Settings;
use shared::ledger::{self, AuditReport, AuditScope};

use super::open;
use crate::failure::Failure;
use crate::output::{Report, note};

/// What to do with the ledger.
#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Check every invariant from the first line; status 1 and a list if one fails
    #[command(
        after_help = "Examples:\n  xiaoyi ledger audit\n  xiaoyi ledger audit --json\n\nIt reads in short steps and may run beside a server."
    )]
    Audit,
}

/// Does it.
pub(crate) async fn run(settings: Settings, command: LedgerCommand) -> Result<Report, Failure> {
    let LedgerCommand::Audit = command;
    let workbench = open(settings).await?;
    if std::io::stderr().is_terminal() {
        note(&format!("Auditing {} ...", workbench.database.url().place()));
    }
    let report = ledger::audit(&workbench.database, &workbench.clock).await?;
    let (found, now) = (report.clone(), workbench.clock.now());
    let kept =
        workbench.database.write(move |connection| ledger::keep_audit(connection, &found, AuditScope::Whole, now));
    if let Err(error) = kept.await {
        // The result stands whoever is told of it.
        note(&format!("The panel will not show this audit: {error}"));
    }
    Ok(Report::of(&report, text(&report))?.good_if(report.ok))
}

fn text(report: &AuditReport) -> String {
    let AuditReport { lines, transfers, requests, .. } = report;
    let looked_at = format!("{lines} lines, {transfers} transfers, {requests} holds and settlements");
    if report.ok {
        return format!("The ledger is right: {looked_at}.");
    }
    let violations = report.violations.iter().map(|violation| {
        let (check, subject, detail) = (violation.check, &violation.subject, &violation.detail);
        format!("  {check}: {subject}: {detail}")
    });
    let listed = violations.collect::<Vec<_>>().join("\n");
    format!("The ledger is VIOLATED ({looked_at}), {} findings:\n{listed}", report.violations.len())
}

#[cfg(test)]
mod tests {
    use shared::ledger::Violation;

    use super::*;

    #[test]
    fn findings_are_listed() {
        let violation = Violation { check: "sum", subject: "account 1001".to_owned(), detail: "5 is not 6".to_owned() };
        let report = AuditReport { violations: vec![violation], ..AuditReport::default() };
        assert!(text(&report).ends_with("1 findings:\n  sum: account 1001: 5 is not 6"), "{}", text(&report));
    }
}
