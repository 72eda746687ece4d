//! Does what the schedule says, puts back what it took away as a supervisor would, and measures how soon the service answers again.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use testkit::{Failure, Process, Signal};
use tokio::runtime::Runtime;

use super::load::{Load, Shared};
use super::plan::{Fault, Planned, STOP_MS};
use super::probe::{LIMIT, answers_again};
use super::report::Happened;
use super::stack::{Part, Servers, Stack};
use super::{Progress, Settings};

/// Whoever carries out the schedule.
pub(super) struct Faults<'a> {
    runtime: &'a Runtime,
    stack: &'a Stack,
    load: Arc<Shared>,
    started: Instant,
    say: Progress,
    happened: Vec<Happened>,
    violations: Vec<String>,
    /// Workers that are stopped: which entry of what happened, and who lets them go on and says when.
    stopped: Vec<(usize, JoinHandle<Instant>)>,
}

impl<'a> Faults<'a> {
    pub(super) fn new(
        runtime: &'a Runtime,
        settings: &Settings,
        stack: &'a Stack,
        load: &Load,
        started: Instant,
    ) -> Self {
        let (load, say) = (Arc::clone(&load.shared), Arc::clone(&settings.progress));
        let (happened, violations, stopped) = (Vec::new(), Vec::new(), Vec::new());
        Self { runtime, stack, load, started, say, happened, violations, stopped }
    }

    /// Carries out the whole schedule. One fault is over before the next begins, except for a stopped worker, which is away for long.
    pub(super) fn carry_out(&mut self, plan: &[Planned]) {
        for planned in plan {
            std::thread::sleep(Duration::from_millis(planned.at_ms).saturating_sub(self.started.elapsed()));
            let from = Instant::now();
            let back = match self.inflict(*planned) {
                Ok(back) => back,
                Err(error) => {
                    self.violations.push(format!("after {}: {error:#}", planned.fault));
                    Instant::now()
                }
            };
            let recovery = self.runtime.block_on(answers_again(&self.load, back));
            if let Err(apis) = &recovery {
                let limit = LIMIT.as_secs();
                let what = format!("after {} no call was answered within {limit} s by api {apis:?}", planned.fault);
                self.violations.push(what);
            }
            self.note(*planned, from, back, recovery.ok());
            self.look_for_the_dead(planned.fault);
        }
    }

    fn note(&mut self, planned: Planned, from: Instant, until: Instant, recovery: Option<Duration>) {
        let since = |moment: Instant| moment.saturating_duration_since(self.started);
        let happened = Happened { fault: planned.fault, from: since(from), until: since(until), recovery };
        let (answered, ended) = self.load.answered();
        (self.say)(&format!("{happened}; {answered} of {ended} calls answered so far"));
        self.happened.push(happened);
    }

    /// Does it, and gives the moment from which the service has to answer.
    fn inflict(&mut self, planned: Planned) -> Result<Instant> {
        let away = Duration::from_millis(planned.away_ms);
        let stack = self.stack;
        match planned.fault {
            Fault::KillWorker { number } => restart(stack, &stack.workers[number], away)?,
            Fault::KillApi { number } => restart(stack, &stack.apis[number], away)?,
            Fault::KillRedis => {
                let redis = &servers(stack)?.redis;
                redis.kill9();
                std::thread::sleep(away);
                redis.start_again()?;
            }
            Fault::KillPostgres => {
                let postgres = &servers(stack)?.postgres;
                postgres.kill9();
                std::thread::sleep(away);
                postgres.start_again()?;
            }
            Fault::StopWorker { number } => {
                let process = stack.workers[number].shared();
                signal(&process, Signal::STOP)?;
                let goes_on = std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(STOP_MS));
                    let _ = signal(&process, Signal::CONT);
                    Instant::now()
                });
                self.stopped.push((self.happened.len(), goes_on));
            }
            Fault::FlushRedis => servers(stack)?.redis.flush_all()?,
            Fault::Cut { link } => stack.proxy(link)?.cut(),
            Fault::Stall { link } => {
                let proxy = stack.proxy(link)?;
                proxy.stall(true);
                std::thread::sleep(away);
                proxy.stall(false);
            }
            Fault::Misbehave { failure } => {
                stack.provider.fail(Failure::ALL.into_iter().find(|each| each.name() == failure));
                std::thread::sleep(away);
                stack.provider.fail(None);
            }
        }
        Ok(Instant::now())
    }

    /// Nothing but what was killed may have to be started again.
    fn look_for_the_dead(&mut self, fault: Fault) {
        for part in self.stack.apis.iter().chain(&self.stack.workers) {
            let status = part.process().ended();
            let Some(status) = status else { continue };
            let tail = part.process().log_tail();
            self.violations.push(format!("{} ended by itself ({status}) after {fault}: {tail}", part.name));
            if let Err(error) = part.start_again(&self.stack.place) {
                self.violations.push(format!("{} cannot be started again: {error:#}", part.name));
            }
        }
    }

    /// Waits until no worker is stopped any more.
    pub(super) fn let_stopped_ones_go_on(&mut self) {
        for (entry, goes_on) in self.stopped.drain(..) {
            let went_on = goes_on.join();
            if let (Ok(moment), Some(happened)) = (went_on, self.happened.get_mut(entry)) {
                happened.until = moment.saturating_duration_since(self.started);
            }
        }
    }

    /// What happened, and what went wrong meanwhile.
    pub(super) fn finish(mut self) -> (Vec<Happened>, Vec<String>) {
        self.let_stopped_ones_go_on();
        (self.happened, self.violations)
    }
}

fn restart(stack: &Stack, part: &Part, away: Duration) -> Result<()> {
    part.process().kill9();
    std::thread::sleep(away);
    part.start_again(&stack.place)
}

fn signal(process: &Mutex<Process>, signal: Signal) -> Result<()> {
    Ok(process.lock().unwrap_or_else(PoisonError::into_inner).signal(signal)?)
}

fn servers(stack: &Stack) -> Result<&Servers> {
    stack.servers.as_ref().context("the embedded form has no servers")
}
