//! What each client was told, against what the ledger says it was charged and what the provider generated for it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::{Account, Evidence, Verdict};
use crate::chaos::call::{Claim, Outcome, Request};
use crate::chaos::plan::Fault;

/// A connection may break, and its client may hear of it, a moment after the process is back.
const SLACK: Duration = Duration::from_millis(500);

#[derive(Default)]
struct Broken {
    free: Vec<String>,
    unlike: Vec<String>,
    told_nothing: Vec<String>,
    told_otherwise: Vec<String>,
    beyond: Vec<String>,
    strange_death: Vec<String>,
    endless: Vec<String>,
    nonsense: Vec<String>,
    other_tenant: Vec<String>,
}

/// Checks every request, and that nobody else was charged or served.
pub(super) fn check(evidence: &Evidence, accounts: &HashMap<String, Account>, verdict: &mut Verdict) {
    let nothing = Account::default();
    let mut broken = Broken::default();
    for request in &evidence.requests {
        let account = accounts.get(&request.marker).unwrap_or(&nothing);
        one(evidence, request, account, &mut broken);
    }
    let known: HashSet<&str> = evidence.requests.iter().map(|request| request.marker.as_str()).collect();
    let strangers = accounts.keys().chain(evidence.provider.keys()).filter(|marker| !known.contains(marker.as_str()));
    let strangers = strangers.cloned().collect();
    verdict.broken("an answer ended without a charge", broken.free);
    verdict.broken("an answer and its charge are not alike", broken.unlike);
    verdict.broken("a request was charged although its error says that nothing was", broken.told_nothing);
    verdict.broken("an error states another amount than was charged", broken.told_otherwise);
    verdict.broken("a request was charged for more than the provider generated for it", broken.beyond);
    verdict.broken("a connection died although its process was not killed", broken.strange_death);
    verdict.broken("a call had no end", broken.endless);
    verdict.broken("a reply is none of the contract", broken.nonsense);
    verdict.broken("a request was charged to another tenant", broken.other_tenant);
    verdict.broken("a charge or a provider's call belongs to no client", strangers);
}

fn one(evidence: &Evidence, request: &Request, account: &Account, broken: &mut Broken) {
    let Request { marker, request_id, .. } = request;
    let seen = || format!("{marker} ({}): {:?}; {account:?}", request_id.as_deref().unwrap_or("-"), request.outcome);
    let generated = evidence.provider.get(marker).into_iter().flatten().map(|call| call.hanzi).max().unwrap_or(0);
    // Without any text there is no charge for the prompt either.
    if account.net > 0 && (account.completion_tokens > generated || generated == 0) {
        broken.beyond.push(format!("{}; generated {generated}", seen()));
    }
    if account.captures > 0 && account.tenant != request.tenant {
        broken.other_tenant.push(seen());
    }
    match &request.outcome {
        Outcome::Answered => {
            if account.captures == 0 || account.net <= 0 {
                broken.free.push(seen());
            } else if request.received != request.expected
                || account.completion_tokens != request.received
                || request.usage.is_some_and(|usage| usage != account.completion_tokens)
                || request_id.as_deref() != account.request_id.as_deref()
            {
                let (expected, received, usage) = (request.expected, request.received, request.usage);
                broken.unlike.push(format!("{}; hanzi {received} of {expected}, usage {usage:?}", seen()));
            }
        }
        Outcome::Refused { claim: Claim::Nothing, .. } if account.net != 0 => broken.told_nothing.push(seen()),
        Outcome::Refused { claim: Claim::Amount(amount), .. } if account.net != *amount => {
            broken.told_otherwise.push(seen());
        }
        Outcome::Died(_) if !was_killed(evidence, request) => broken.strange_death.push(seen()),
        Outcome::Endless => broken.endless.push(seen()),
        Outcome::Nonsense(_) => broken.nonsense.push(seen()),
        Outcome::Refused { .. } | Outcome::Died(_) | Outcome::Left => {}
    }
}

/// Whether the process that this client was connected to was away at any time of the call.
fn was_killed(evidence: &Evidence, request: &Request) -> bool {
    evidence.happened.iter().any(|happened| {
        happened.fault == Fault::KillApi { number: request.api }
            && happened.from <= request.ended
            && request.begun <= happened.until + SLACK
    })
}
