//! What the last audits found, kept in the database, so that every process can show it and a restart does not forget it.

use serde::{Deserialize, Serialize};

use super::AuditReport;
use crate::clock::Timestamp;
use crate::db::{Connection, DbError};
use crate::facts::{self, LAST_AUDIT, STANDING_VIOLATION};

/// Findings that are kept of an audit; all of them are in the log, and `xiaoyi ledger audit` lists them again.
const MOST_KEPT: usize = 20;

/// Which part of the ledger was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditScope {
    /// All of it, from the first line.
    Whole,
    /// What was new since the last run of a server.
    News,
}

/// An audit that was made, and what it found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditMade {
    /// When it ended.
    pub at: Timestamp,
    /// What it looked at.
    pub scope: AuditScope,
    /// Lines looked at.
    pub lines: u64,
    /// Transfers looked at.
    pub transfers: u64,
    /// Holds and settlements looked at.
    pub requests: u64,
    /// How many violations it found.
    pub violations: u64,
    /// The first 20 of them.
    pub first: Vec<Finding>,
}

/// A violation, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The invariant's short name.
    pub check: String,
    /// Where.
    pub subject: String,
    /// What was found and what should be.
    pub detail: String,
}

/// What is known of the audits of this installation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LastAudits {
    /// The newest of all.
    pub newest: Option<AuditMade>,
    /// The newest that found something. It stands until an audit of the whole ledger finds nothing.
    pub standing: Option<AuditMade>,
}

/// Keeps what an audit found. Call it in a write transaction.
///
/// # Errors
/// [`DbError`].
pub fn keep_audit(
    connection: &mut Connection,
    report: &AuditReport,
    scope: AuditScope,
    now: Timestamp,
) -> Result<(), DbError> {
    let first = report.violations.iter().take(MOST_KEPT).map(|violation| Finding {
        check: violation.check.to_owned(),
        subject: violation.subject.clone(),
        detail: violation.detail.clone(),
    });
    let made = AuditMade {
        at: now,
        scope,
        lines: report.lines,
        transfers: report.transfers,
        requests: report.requests,
        violations: report.violations.len() as u64,
        first: first.collect(),
    };
    let bytes = serde_json::to_vec(&made).map_err(|error| DbError::Corrupt(error.to_string()))?;
    facts::write(connection, LAST_AUDIT, &bytes)?;
    if !report.violations.is_empty() {
        facts::write(connection, STANDING_VIOLATION, &bytes)?;
    } else if scope == AuditScope::Whole && facts::read(connection, STANDING_VIOLATION)?.is_some() {
        // A fact is never removed; an empty one is none.
        facts::write(connection, STANDING_VIOLATION, &[])?;
    }
    Ok(())
}

/// What the last audits found.
///
/// # Errors
/// [`DbError`].
pub fn last_audits(connection: &mut Connection) -> Result<LastAudits, DbError> {
    let mut fact = |name| match facts::read(connection, name)? {
        Some(bytes) if !bytes.is_empty() => {
            serde_json::from_slice(&bytes).map(Some).map_err(|error| DbError::Corrupt(format!("{name}: {error}")))
        }
        _ => Ok(None),
    };
    Ok(LastAudits { newest: fact(LAST_AUDIT)?, standing: fact(STANDING_VIOLATION)? })
}
