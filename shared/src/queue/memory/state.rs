//! The bookkeeping of the queue in one process: who waits, who runs, and who may go next.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use tokio::sync::{mpsc, watch};

use super::super::{Cancellation, Depth, Frame, Frames, Job, LARGE_JOB_BYTES, QueueLimits, Source, SubmitError};
use super::lines::Lines;
use crate::clock::Timestamp;
use crate::id::{RequestId, TenantId};

/// What waits, what runs and where it is. Nothing in here waits for anything, so a lock around it is held for moments.
pub(super) struct State {
    limits: QueueLimits,
    closed: bool,
    lines: Lines<Waiting>,
    /// Where each job is; the running ones are those that do not wait.
    places: HashMap<RequestId, Place>,
    /// How many jobs of a tenant run; tenants without any are not here.
    running_of: HashMap<TenantId, usize>,
    /// How many times a job was taken; it tells a job's first run from a later one.
    takes: u64,
}

struct Place {
    tenant: TenantId,
    /// In bytes.
    weight: usize,
    /// `None` while it waits.
    run: Option<Run>,
}

struct Run {
    take: u64,
    told: watch::Sender<bool>,
}

/// A job in its tenant's line.
pub(super) struct Waiting {
    pub(super) job: Job,
    pub(super) frames: mpsc::Sender<Frame>,
    /// Which try its next delivery is, from 1.
    pub(super) attempt: u32,
    /// Whether a worker that had it was told to stop; the next one must hear it too.
    pub(super) told: bool,
    pub(super) since: Timestamp,
}

impl State {
    pub(super) fn new(limits: QueueLimits) -> Self {
        let (places, running_of) = (HashMap::new(), HashMap::new());
        Self { limits, closed: false, lines: Lines::new(), places, running_of, takes: 0 }
    }

    pub(super) const fn close(&mut self) {
        self.closed = true;
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn room(&self, tenant: TenantId) -> Result<(), SubmitError> {
        if self.closed {
            return Err(SubmitError::Unavailable);
        }
        // The share first: a tenant is told what it can change itself.
        if self.lines.len_of(tenant) >= self.limits.tenant_share {
            return Err(SubmitError::TenantShareFull { share: self.limits.tenant_share });
        }
        if self.lines.len() >= self.limits.capacity {
            return Err(SubmitError::Full);
        }
        Ok(())
    }

    /// Memory is bounded by bytes, not only by the number of jobs; only a large job has to look at the others.
    fn room_for_large(&self, job: &Job) -> Result<(), SubmitError> {
        let weight = job.weight();
        if weight <= LARGE_JOB_BYTES {
            return Ok(());
        }
        let (mut all, mut own) = (weight, weight);
        for other in self.places.values().filter(|other| other.weight > LARGE_JOB_BYTES) {
            all += other.weight;
            own += if other.tenant == job.tenant { other.weight } else { 0 };
        }
        if own > self.limits.tenants_large_bytes() {
            return Err(SubmitError::TenantShareFull { share: self.limits.tenant_share });
        }
        if all > self.limits.large_bytes { Err(SubmitError::Full) } else { Ok(()) }
    }

    pub(super) fn submit(&mut self, job: Job, now: Timestamp) -> Result<Frames, SubmitError> {
        self.room(job.tenant)?;
        self.room_for_large(&job)?;
        let Entry::Vacant(place) = self.places.entry(job.request_id) else {
            // Each admission makes a new id, so this is a fault of ours; two jobs of one id could not be told apart.
            tracing::error!(request_id = %job.request_id, "a job was submitted twice");
            return Err(SubmitError::Unavailable);
        };
        place.insert(Place { tenant: job.tenant, weight: job.weight(), run: None });
        let (frames, receiver) = mpsc::channel(self.limits.frames.max(1));
        self.lines.push_back(job.tenant, Waiting { job, frames, attempt: 1, told: false, since: now });
        Ok(Frames { source: Source::Memory(receiver) })
    }

    /// Whose job may be taken now. Where one slot is left and both that wait have their half, it stays free for a third.
    pub(super) fn next_tenant(&self) -> Option<TenantId> {
        if self.running() >= self.limits.slots {
            return None;
        }
        let half = (self.limits.slots / 2).max(1);
        self.lines.next_tenant(|tenant| self.running_of.get(&tenant).copied().unwrap_or(0) < half)
    }

    pub(super) fn take(&mut self) -> Option<(Waiting, u64)> {
        let tenant = self.next_tenant()?;
        let waiting = self.lines.pop(tenant)?;
        self.takes += 1;
        let run = Some(Run { take: self.takes, told: watch::Sender::new(waiting.told) });
        self.places.insert(waiting.job.request_id, Place { tenant, weight: waiting.job.weight(), run });
        *self.running_of.entry(tenant).or_default() += 1;
        Some((waiting, self.takes))
    }

    /// Gives back what was removed too, to be dropped outside the lock.
    pub(super) fn cancel(&mut self, request_id: RequestId) -> (Cancellation, Option<Waiting>) {
        match self.places.get(&request_id) {
            None => (Cancellation::NotFound, None),
            Some(Place { run: Some(run), .. }) => {
                run.told.send_replace(true);
                (Cancellation::Told, None)
            }
            Some(Place { run: None, .. }) => (Cancellation::Removed, self.withdraw(request_id)),
        }
    }

    pub(super) fn withdraw(&mut self, request_id: RequestId) -> Option<Waiting> {
        let Some(&Place { tenant, run: None, .. }) = self.places.get(&request_id) else { return None };
        self.places.remove(&request_id);
        self.lines.remove(tenant, |waiting| waiting.job.request_id == request_id)
    }

    pub(super) fn told(&self, request_id: RequestId) -> Option<watch::Receiver<bool>> {
        self.places.get(&request_id)?.run.as_ref().map(|run| run.told.subscribe())
    }

    /// Lets a running job wait again. Gives it back when the queue is closed, to be dropped: no worker will come any more,
    /// and who waits for the answer should learn that at once.
    pub(super) fn hand_back(&mut self, mut waiting: Waiting) -> Option<Waiting> {
        if self.closed {
            return Some(waiting);
        }
        let Some(place) = self.places.get_mut(&waiting.job.request_id) else {
            return Some(waiting);
        };
        let Some(run) = place.run.take() else {
            return Some(waiting);
        };
        waiting.told = *run.told.borrow();
        let tenant = place.tenant;
        self.forget_running(tenant);
        self.lines.push_front(tenant, waiting);
        None
    }

    /// Ends the run that began with this take; whether it was still running.
    pub(super) fn release(&mut self, request_id: RequestId, ended_take: u64) -> bool {
        let Some(&Place { tenant, run: Some(ref run), .. }) = self.places.get(&request_id) else {
            return false;
        };
        if run.take != ended_take {
            return false;
        }
        self.places.remove(&request_id);
        self.forget_running(tenant);
        true
    }

    fn forget_running(&mut self, tenant: TenantId) {
        if let Entry::Occupied(mut running) = self.running_of.entry(tenant) {
            *running.get_mut() -= 1;
            if *running.get() == 0 {
                running.remove();
            }
        }
    }

    pub(super) fn drain(&mut self) -> Vec<Waiting> {
        let mut drained = Vec::with_capacity(self.lines.len());
        while let Some(waiting) = self.lines.next_tenant(|_| true).and_then(|tenant| self.lines.pop(tenant)) {
            self.places.remove(&waiting.job.request_id);
            drained.push(waiting);
        }
        drained
    }

    fn running(&self) -> usize {
        self.places.len().saturating_sub(self.lines.len())
    }

    pub(super) fn depth(&self, now: Timestamp) -> Depth {
        let oldest = self.lines.iter().map(|waiting| waiting.since).min();
        let oldest_ms = oldest.map_or(0, |since| now.since(since).max(0));
        Depth { waiting: self.lines.len(), running: self.running(), oldest_ms }
    }

    /// Whether nothing at all is remembered.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.lines.iter().next().is_none() && self.places.is_empty() && self.running_of.is_empty()
    }
}
