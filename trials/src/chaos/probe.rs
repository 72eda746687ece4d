//! How soon the service answers again: short calls by way of every API process until one of each is answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::load::Shared;

/// Within this the service must answer.
pub(super) const LIMIT: Duration = Duration::from_secs(5);
/// A call that hangs must not keep the next one from being answered.
const BETWEEN: Duration = Duration::from_millis(200);

/// How long after `back` every API process had answered a call, or those that had not within the limit.
pub(super) async fn answers_again(load: &Arc<Shared>, back: Instant) -> Result<Duration, Vec<usize>> {
    let watches: Vec<_> = (0..load.apis()).map(|api| tokio::spawn(one(Arc::clone(load), api, back))).collect();
    let (mut longest, mut silent) = (Duration::ZERO, Vec::new());
    for (api, watch) in watches.into_iter().enumerate() {
        match watch.await {
            Ok(Some(after)) => longest = longest.max(after),
            _ => silent.push(api),
        }
    }
    if silent.is_empty() { Ok(longest) } else { Err(silent) }
}

async fn one(load: Arc<Shared>, api: usize, back: Instant) -> Option<Duration> {
    let (tell, mut told) = mpsc::unbounded_channel();
    let end = tokio::time::Instant::from_std(back + LIMIT);
    loop {
        let tell = tell.clone();
        load.probe(api, move |is_answered| {
            if is_answered {
                let _ = tell.send(Instant::now());
            }
        });
        let next = tokio::time::Instant::now() + BETWEEN;
        match tokio::time::timeout_at(next.min(end), told.recv()).await {
            Ok(Some(answered)) => return Some(answered.saturating_duration_since(back)),
            _ if tokio::time::Instant::now() >= end => return None,
            _ => {}
        }
    }
}
