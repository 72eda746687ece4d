//! Holds what clients saw, what the provider counted and what the ledger says against each other. Pure: it sees only the evidence.

mod claims;
mod extra;
mod sums;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::Serialize;
use testkit::Record;

use super::books::Books;
use super::call::{Outcome, Request};
use super::report::Happened;

/// Each rule lists at most so many of those who broke it.
const LISTED: usize = 10;

/// A call as the provider saw it. Times are since the beginning of the trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ProviderCall {
    pub(super) begun: Duration,
    /// Hanzi that it generated.
    pub(super) hanzi: i64,
}

/// Everything that is known at the end.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    pub(super) requests: Vec<Request>,
    /// By marker, in the order of arrival.
    pub(super) provider: HashMap<String, Vec<ProviderCall>>,
    pub(super) books: Vec<Books>,
    pub(super) happened: Vec<Happened>,
}

/// How much of what there was.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Calls that clients made.
    pub requests: usize,
    /// Those that were answered to the end.
    pub answered: usize,
    /// Those that were told an error.
    pub refused: usize,
    /// Of these, in a stream or with an amount: something was charged.
    pub refused_with_a_charge: usize,
    /// Of these, `outcome_unknown`.
    pub outcome_unknown: usize,
    /// Those whose connection died.
    pub died: usize,
    /// Those whose client left.
    pub left: usize,
    /// Errors by name.
    pub errors: std::collections::BTreeMap<String, usize>,
    /// Requests that reached the provider.
    pub requests_at_the_provider: usize,
    /// Calls that the provider got for them.
    pub provider_calls: usize,
    /// Calls above requests, each explained by a lost lease unless there is a violation.
    pub extra_provider_calls: usize,
    /// Requests that were charged.
    pub charges: usize,
    /// What all tenants paid in, in 1e-9.
    pub topped_up: i64,
    /// What all tenants were charged, in 1e-9.
    pub charged: i64,
    /// What all tenants have left, in 1e-9.
    pub balances: i64,
}

/// What comes of it.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) figures: Figures,
    pub(super) violations: Vec<String>,
}

/// What the ledger says of one request.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// How often it was charged.
    captures: usize,
    /// What it was charged, less what was given back, in 1e-9.
    net: i64,
    /// Tokens of the answer that were charged at most.
    completion_tokens: i64,
    request_id: Option<String>,
    tenant: usize,
}

/// Judges.
pub(super) fn judge(evidence: &Evidence) -> Verdict {
    let mut verdict = Verdict { figures: count(evidence), violations: Vec::new() };
    let accounts = sums::check(evidence, &mut verdict);
    claims::check(evidence, &accounts, &mut verdict);
    extra::check(evidence, &mut verdict);
    verdict
}

impl Verdict {
    /// Adds those who broke a rule, or the first of them and their number.
    fn broken(&mut self, rule: &str, mut by: Vec<String>) {
        if by.is_empty() {
            return;
        }
        let number = by.len();
        by.truncate(LISTED);
        let more = if number > LISTED { format!("\n  and {} more", number - LISTED) } else { String::new() };
        self.violations.push(format!("{rule}: {number}\n  {}{more}", by.join("\n  ")));
    }
}

/// The provider's records with times since the beginning of the trial.
pub(super) fn provider_calls(
    records: &HashMap<String, Record>,
    started: Instant,
) -> HashMap<String, Vec<ProviderCall>> {
    let calls = |record: &Record| {
        let calls = record.calls.iter().map(|call| ProviderCall {
            begun: call.begun.saturating_duration_since(started),
            hanzi: call.hanzi.into(),
        });
        calls.collect()
    };
    records.iter().map(|(marker, record)| (marker.clone(), calls(record))).collect()
}

fn count(evidence: &Evidence) -> Figures {
    let mut figures = Figures { requests: evidence.requests.len(), ..Figures::default() };
    for request in &evidence.requests {
        match &request.outcome {
            Outcome::Answered => figures.answered += 1,
            Outcome::Refused { name, claim, .. } => {
                figures.refused += 1;
                *figures.errors.entry(name.clone()).or_default() += 1;
                match claim {
                    super::call::Claim::Nothing => {}
                    super::call::Claim::Amount(_) => figures.refused_with_a_charge += 1,
                    super::call::Claim::Unknown => figures.outcome_unknown += 1,
                }
            }
            Outcome::Died(_) => figures.died += 1,
            Outcome::Left => figures.left += 1,
            Outcome::Endless | Outcome::Nonsense(_) => {}
        }
    }
    figures.requests_at_the_provider = evidence.provider.len();
    figures.provider_calls = evidence.provider.values().map(Vec::len).sum();
    figures.extra_provider_calls = figures.provider_calls - figures.requests_at_the_provider;
    figures
}

#[cfg(test)]
mod tests;
