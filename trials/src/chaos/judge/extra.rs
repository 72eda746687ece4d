//! A request reaches the provider once. More often only if its worker lost its lease, or Redis forgot that it was at work.

use super::{Evidence, ProviderCall, Verdict};
use crate::chaos::plan::Fault;
use crate::chaos::report::Happened;

/// Checks every request that reached the provider more than once.
pub(super) fn check(evidence: &Evidence, verdict: &mut Verdict) {
    let repeated = evidence.provider.iter().filter(|(_, calls)| calls.len() > 1);
    let unexplained = repeated.filter(|(_, calls)| !is_explained(calls, &evidence.happened));
    let unexplained = unexplained.map(|(marker, calls)| format!("{marker}: {calls:?}")).collect();
    verdict.broken("the provider was called again for a request whose lease was not lost", unexplained);
}

/// Whether between each call and the next one something happened that loses leases.
fn is_explained(calls: &[ProviderCall], happened: &[Happened]) -> bool {
    calls.windows(2).all(|pair| {
        happened
            .iter()
            .any(|each| loses_leases(each.fault) && each.from <= pair[1].begun && pair[0].begun <= each.until)
    })
}

fn loses_leases(fault: Fault) -> bool {
    match fault {
        Fault::KillWorker { .. } | Fault::StopWorker { .. } | Fault::FlushRedis | Fault::KillRedis => true,
        Fault::KillApi { .. }
        | Fault::KillPostgres
        | Fault::Cut { .. }
        | Fault::Stall { .. }
        | Fault::Misbehave { .. } => false,
    }
}
