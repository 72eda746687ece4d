//! The chaos trial: the real program in separate processes, mixed load, and every few seconds a part that dies, stalls or forgets.
//! Afterwards what clients saw, what the provider counted and what the ledger says are held against each other.

mod books;
mod call;
mod client;
mod faults;
mod judge;
mod load;
mod place;
mod plan;
mod probe;
mod random;
mod report;
mod stack;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use self::faults::Faults;
use self::judge::Evidence;
use self::load::Load;
pub use self::plan::{Fault, Form, Link, Planned};
pub use self::random::new_seed;
pub use self::report::{Happened, Report};
use self::stack::Stack;

/// How long holds may stay open behind the end of the load.
const HELD_LIMIT: Duration = Duration::from_secs(60);

/// Hears of the progress, line by line.
pub type Progress = Arc<dyn Fn(&str) + Send + Sync>;

/// What to try.
#[derive(Clone)]
pub struct Settings {
    /// The program `xiaoyi`.
    pub program: PathBuf,
    /// Which processes make up the service.
    pub form: Form,
    /// How long the load runs, in seconds, 10 or more.
    pub seconds: u64,
    /// The least and the greatest time between two faults, in seconds.
    pub faults_every: (u64, u64),
    /// What the schedule and the load are made from.
    pub seed: u64,
    /// Clients that call at the same time.
    pub clients: usize,
    /// Where the logs of all processes are copied to when a check fails.
    pub logs: Option<PathBuf>,
    /// Who hears of the progress.
    pub progress: Progress,
}

/// Runs the trial. It blocks, so it must not be called from asynchronous code.
///
/// # Errors
/// When it could not be carried out. What the service did wrong is in the report.
pub fn run(settings: &Settings) -> Result<Report> {
    let (least, most) = settings.faults_every;
    ensure!(settings.seconds >= 10, "a trial takes at least 10 seconds");
    ensure!((1..=most).contains(&least), "faults come every 1 second or more, and the greatest time is the last");
    ensure!((1..=1000).contains(&settings.clients), "there are 1 to 1000 clients");
    // Only the first call in a process can set it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let say = &*settings.progress;

    let plan = plan::plan(settings);
    say(&format!("seed {}: {} faults in {} s", settings.seed, plan.len(), settings.seconds));
    for planned in &plan {
        say(&format!("  {planned}"));
    }
    let stack = Stack::start(settings).context("the service could not be started")?;
    say("the service is ready; load begins");
    let started = Instant::now();
    let load = Load::start(&runtime, settings, &stack, started)?;
    let mut faults = Faults::new(&runtime, settings, &stack, &load, started);
    faults.carry_out(&plan);
    std::thread::sleep(Duration::from_secs(settings.seconds).saturating_sub(started.elapsed()));
    faults.let_stopped_ones_go_on();
    let (happened, mut violations) = faults.finish();
    say("load ends");
    let requests = load.stop(&runtime);

    let held_after = runtime.block_on(books::until_nothing_is_held(&stack, HELD_LIMIT))?;
    match held_after {
        Some(after) => say(&format!("nothing is held {:.1} s after the end", after.as_secs_f64())),
        None => violations.push(format!("money is still held {} s after the end", HELD_LIMIT.as_secs())),
    }
    let audit = stack.place.audit()?;
    say(&format!("ledger audit: {}", if audit.is_empty() { "clean" } else { "violations" }));
    violations.extend(audit.into_iter().map(|each| format!("ledger audit: {each}")));
    let books = runtime.block_on(books::read(&stack))?;
    let evidence =
        Evidence { requests, provider: judge::provider_calls(&stack.provider.records(), started), books, happened };
    let verdict = judge::judge(&evidence);
    violations.extend(verdict.violations.iter().cloned());
    if !violations.is_empty()
        && let Some(folder) = &settings.logs
    {
        stack.keep_logs(folder)?;
        say(&format!("the logs are in {}", folder.display()));
    }
    Ok(Report::new(settings, plan, evidence.happened, held_after, verdict.figures, violations))
}
