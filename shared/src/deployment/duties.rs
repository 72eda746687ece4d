//! What a process does besides serving: it watches the epoch, shows that it lives, ends forgotten holds, audits what is new, and keeps the
//! records small.

use std::time::Duration;

use tokio::sync::watch;

use super::{Deployment, DeploymentError};
use crate::calls;
use crate::clock::Timestamp;
use crate::db::{Connection, DbError};
use crate::epoch;
use crate::idempotency;
use crate::key;
use crate::ledger::{self, Audit, AuditScope, Sweeper};
use crate::rollups::{self, Rolled};

/// How often a process shows that it lives, in milliseconds.
const HEARTBEAT_MS: u64 = 5_000;
/// How often a process makes sure of its place among those that serve the database, in milliseconds.
const KEEP_PLACE_MS: u64 = 5_000;
/// A sweeper judges other processes only after it has been connected itself for this long, in milliseconds.
const SWEEP_AFTER_MS: i64 = 15_000;
/// How often the sweeper's mark is kept, in sweeps.
const SAVE_MARK_EVERY: u32 = 12;
/// How often what was charged is summed, in milliseconds.
const ROLL_MS: u64 = 10_000;
/// How often records that are too old are looked for, in milliseconds.
const PURGE_MS: u64 = 60_000;
/// The pause between two steps of work on the records that could wait, so that calls go first.
const RECORDS_PAUSE: Duration = Duration::from_millis(20);

/// Begins all of them; they end with the runtime.
pub(super) fn start(deployment: &Deployment, sweeper: Sweeper) {
    tokio::spawn(watch_epoch(deployment.clone()));
    tokio::spawn(show_life(deployment.clone()));
    tokio::spawn(write_uses(deployment.clone()));
    let leads = watch::Sender::new(false);
    tokio::spawn(sweep(deployment.clone(), sweeper, leads.subscribe()));
    tokio::spawn(audit(deployment.clone(), leads.subscribe()));
    tokio::spawn(roll(deployment.clone(), leads.subscribe()));
    tokio::spawn(purge(deployment.clone(), leads.subscribe()));
    tokio::spawn(keep_place(deployment.clone(), leads));
}

async fn watch_epoch(deployment: Deployment) {
    let mut tick = ticks(epoch::POLL_MS);
    let mut stale = false;
    loop {
        tick.tick().await;
        match deployment.epoch.poll(&deployment.database).await {
            Ok(moved) => stale |= moved,
            Err(error) => tracing::error!(%error, "the epoch could not be read"),
        }
        if stale {
            match deployment.catalogue.reload(&deployment.database).await {
                Ok(()) => stale = false,
                Err(error) => {
                    tracing::error!(%error, "models, channels and prices could not be read again; the old ones stay")
                }
            }
        }
    }
}

async fn show_life(deployment: Deployment) {
    let mut tick = ticks(HEARTBEAT_MS);
    loop {
        tick.tick().await;
        if let Err(error) = ledger::heartbeat(&deployment.database, deployment.process, deployment.clock.now()).await {
            tracing::error!(%error, "the heartbeat could not be written");
        }
        if deployment.ledger.is_failing() {
            deployment.ledger.try_again();
        }
    }
}

/// Writes down which keys were used.
async fn write_uses(deployment: Deployment) {
    let mut tick = ticks(key::WRITE_MS);
    loop {
        tick.tick().await;
        if let Err(error) = deployment.keyring.write_uses().await {
            tracing::warn!(%error, "when keys were last used could not be written down");
        }
    }
}

/// Finds out again and again whether this process is the one that sweeps and audits.
async fn keep_place(deployment: Deployment, leads: watch::Sender<bool>) {
    let mut tick = ticks(KEEP_PLACE_MS);
    loop {
        tick.tick().await;
        let presence = deployment.presence.clone();
        let kept = tokio::task::spawn_blocking(move || presence.keep()).await;
        let now_leads = match kept {
            Ok(Ok(leads)) => leads,
            Ok(Err(error @ DeploymentError::NotAlone { .. })) => {
                deployment.must_end.send_replace(Some(error.to_string()));
                false
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "this process could not keep its place among those that serve the database");
                false
            }
            Err(error) => {
                tracing::error!(%error, "this process could not keep its place among those that serve the database");
                false
            }
        };
        leads.send_replace(now_leads);
    }
}

async fn sweep(deployment: Deployment, mut sweeper: Sweeper, leads: watch::Receiver<bool>) {
    let mut connected_since = deployment.clock.now();
    let silence_ms = i64::try_from(deployment.settings.ledger.owner_silence_s).unwrap_or(i64::MAX).saturating_mul(1000);
    let mut tick = ticks(deployment.settings.ledger.sweep_s.saturating_mul(1000));
    let mut sweeps: u32 = 0;
    loop {
        tick.tick().await;
        let now = deployment.clock.now();
        if !*leads.borrow() {
            // Whoever begins to lead first gives the others time to show that they live.
            connected_since = now;
            continue;
        }
        if now.since(connected_since) < SWEEP_AFTER_MS {
            continue;
        }
        if let Err(error) = sweeper.expire(&deployment.database, &deployment.ledger, now, silence_ms).await {
            tracing::error!(%error, "forgotten holds could not be looked for");
            // What kept this process from the database may have kept the others from showing that they live.
            connected_since = deployment.clock.now();
            continue;
        }
        sweeps = sweeps.wrapping_add(1);
        if sweeps.is_multiple_of(SAVE_MARK_EVERY)
            && let Err(error) = sweeper.save(&deployment.database).await
        {
            tracing::error!(%error, "the sweeper's mark could not be kept");
        }
    }
}

async fn audit(deployment: Deployment, mut leads: watch::Receiver<bool>) {
    if leads.wait_for(|&leads| leads).await.is_err() {
        return;
    }
    let mut audit = loop {
        match Audit::from_now(&deployment.database, &deployment.clock).await {
            Ok(audit) => break audit,
            Err(error) => tracing::error!(%error, "the running audit could not begin; it is tried again"),
        }
        tokio::time::sleep(Duration::from_millis(HEARTBEAT_MS)).await;
    };
    let mut tick = ticks(deployment.settings.ledger.audit_s.saturating_mul(1000));
    tick.tick().await;
    loop {
        tick.tick().await;
        if !*leads.borrow() {
            continue;
        }
        match audit.run(&deployment.database, &deployment.clock).await {
            Ok(report) => {
                for violation in &report.violations {
                    tracing::error!(check = violation.check, subject = %violation.subject, detail = %violation.detail, "the ledger is violated");
                }
                let count = report.violations.len() as u64;
                metrics::counter!("xiaoyi_ledger_violations_total").increment(count);
                deployment.health.found_violations(count);
                let now = deployment.clock.now();
                let kept = deployment
                    .database
                    .write(move |connection| ledger::keep_audit(connection, &report, AuditScope::News, now));
                if let Err(error) = kept.await {
                    tracing::error!(%error, "what the running audit found could not be kept");
                }
            }
            Err(error) => tracing::error!(%error, "the running audit failed"),
        }
    }
}

/// Sums what was charged.
async fn roll(deployment: Deployment, leads: watch::Receiver<bool>) {
    let zone = deployment.settings.timezone;
    let mut tick = ticks(ROLL_MS);
    loop {
        tick.tick().await;
        while *leads.borrow() {
            match rollups::step(&deployment.database, zone, deployment.clock.now()).await {
                Ok(Rolled::Partly) => tokio::time::sleep(RECORDS_PAUSE).await,
                Ok(Rolled::All) => break,
                Err(error) => {
                    tracing::error!(%error, "what was charged could not be summed; it is tried again");
                    break;
                }
            }
        }
    }
}

/// Removes details of calls, and what else of the records is too old.
async fn purge(deployment: Deployment, leads: watch::Receiver<bool>) {
    let mut tick = ticks(PURGE_MS);
    let records = deployment.settings.records.clone();
    let keep_bytes = deployment.settings.idempotency.keep_mib.saturating_mul(1024 * 1024);
    loop {
        tick.tick().await;
        let (call_days, user_days) = (records.call_days, records.user_days());
        purge_all(&deployment, &leads, move |connection, now| calls::purge(connection, call_days, now)).await;
        purge_all(&deployment, &leads, move |connection, now| rollups::purge(connection, user_days, now)).await;
        if !*leads.borrow() {
            continue;
        }
        let full_since = move |connection: &mut Connection| idempotency::full_since(connection, keep_bytes);
        let since = deployment.database.read_records(full_since).await.unwrap_or_else(|error| {
            tracing::error!(%error, "it could not be found out which answers have no room; only those of a day ago are removed");
            None
        });
        purge_all(&deployment, &leads, move |connection, now| idempotency::purge(connection, since, now)).await;
    }
}

/// Removes with `step` until there is no more, some at a time, so that others can write between.
async fn purge_all(
    deployment: &Deployment,
    leads: &watch::Receiver<bool>,
    step: impl Fn(&mut Connection, Timestamp) -> Result<bool, DbError> + Copy + Send + 'static,
) {
    while *leads.borrow() {
        let now = deployment.clock.now();
        match deployment.database.write(move |connection| step(connection, now)).await {
            Ok(true) => tokio::time::sleep(RECORDS_PAUSE).await,
            Ok(false) => break,
            Err(error) => {
                tracing::error!(%error, "records that are too old could not be removed; it is tried again");
                break;
            }
        }
    }
}

/// One tick at once, then one every `milliseconds`; late ones are skipped, not made up for.
fn ticks(milliseconds: u64) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(Duration::from_millis(milliseconds.max(1)));
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    interval
}
