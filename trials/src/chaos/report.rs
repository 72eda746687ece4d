//! What a trial showed, for people and for programs.

use std::fmt::{self, Write};
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::Settings;
use super::judge::Figures;
use super::plan::{Fault, Form, Planned};

/// A fault that was carried out. Times are since the load began.
#[derive(Debug, Clone, Serialize)]
pub struct Happened {
    /// What was done.
    pub fault: Fault,
    /// When it began, in milliseconds in JSON.
    #[serde(serialize_with = "milliseconds")]
    pub from: Duration,
    /// When the part was back.
    #[serde(serialize_with = "milliseconds")]
    pub until: Duration,
    /// How long after that every API process had answered a call; `None` when that took too long.
    #[serde(serialize_with = "some_milliseconds")]
    pub recovery: Option<Duration>,
}

/// The result.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What makes the same schedule again.
    pub seed: u64,
    /// Which processes made up the service.
    pub form: Form,
    /// How long the load ran.
    pub seconds: u64,
    /// The schedule.
    pub plan: Vec<Planned>,
    /// What came of it.
    pub happened: Vec<Happened>,
    /// How long after the end of the load nothing was held any more.
    #[serde(serialize_with = "some_milliseconds")]
    pub held_after: Option<Duration>,
    /// How much of what there was.
    #[serde(flatten)]
    pub figures: Figures,
    /// What went wrong. Nothing may.
    pub violations: Vec<String>,
}

impl Report {
    pub(super) fn new(
        settings: &Settings,
        plan: Vec<Planned>,
        happened: Vec<Happened>,
        held_after: Option<Duration>,
        figures: Figures,
        mut violations: Vec<String>,
    ) -> Self {
        // A trial in which nothing was answered proves nothing.
        if figures.answered == 0 {
            violations.push("no call was answered at all".to_owned());
        }
        let Settings { seed, form, seconds, .. } = *settings;
        Self { seed, form, seconds, plan, happened, held_after, figures, violations }
    }

    /// Whether every check held.
    pub fn is_passed(&self) -> bool {
        self.violations.is_empty()
    }

    /// The longest time in which the service answered again after a fault.
    pub fn worst_recovery(&self) -> Option<(Duration, Fault)> {
        let recoveries = self.happened.iter().filter_map(|happened| Some((happened.recovery?, happened.fault)));
        recoveries.max_by_key(|(recovery, _)| *recovery)
    }

    /// A table, and the list of what went wrong.
    pub fn markdown(&self) -> String {
        let figures = &self.figures;
        let mut text = format!("| chaos, {} s, seed {} | |\n|---|---|\n", self.seconds, self.seed);
        let mut row = |name: &str, value: String| {
            let _ = writeln!(text, "| {name} | {value} |");
        };
        row("faults", self.faults());
        let worst = self.worst_recovery();
        let worst = worst.map(|(after, fault)| format!("{} ms after {fault}", after.as_millis()));
        row("worst time until answers came again", worst.unwrap_or_default());
        row("calls", figures.requests.to_string());
        row("answered", figures.answered.to_string());
        row("told an error", format!("{}{}", figures.refused, errors(figures)));
        row("of these charged, as the error said", figures.refused_with_a_charge.to_string());
        row("of these told that the outcome is unknown", figures.outcome_unknown.to_string());
        row("connections that died with their process", figures.died.to_string());
        row("clients that left", figures.left.to_string());
        row("requests at the provider", figures.requests_at_the_provider.to_string());
        row("calls to the provider above that (lost leases)", figures.extra_provider_calls.to_string());
        row("charges", figures.charges.to_string());
        let [topped_up, charged, balances] = [figures.topped_up, figures.charged, figures.balances].map(amount);
        row("topped up = charged + balances", format!("{topped_up} = {charged} + {balances}"));
        let held = self.held_after.map(|after| format!("{:.1} s after the end", after.as_secs_f64()));
        row("nothing held", held.unwrap_or_else(|| "never".to_owned()));
        row(
            "checks",
            if self.is_passed() { "all passed".to_owned() } else { format!("{} FAILED", self.violations.len()) },
        );
        for violation in &self.violations {
            let _ = write!(text, "\n- {violation}");
        }
        text.trim_end().to_owned()
    }

    fn faults(&self) -> String {
        let mut kinds: Vec<(String, usize)> = Vec::new();
        for happened in &self.happened {
            let kind = happened.fault.to_string();
            let kind = kind.trim_end_matches(|last: char| last.is_ascii_digit() || last == ' ').to_owned();
            match kinds.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, number)) => *number += 1,
                None => kinds.push((kind, 1)),
            }
        }
        kinds.sort();
        let kinds: Vec<String> = kinds.iter().map(|(kind, number)| format!("{number} x {kind}")).collect();
        format!("{} ({})", self.happened.len(), kinds.join(", "))
    }
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:6.1} s  {}", self.from.as_secs_f64(), self.fault)?;
        let away = self.until.saturating_sub(self.from);
        write!(f, ", back after {} ms", away.as_millis())?;
        match self.recovery {
            Some(recovery) => write!(f, ", answers {} ms later", recovery.as_millis()),
            None => f.write_str(", NO ANSWER"),
        }
    }
}

fn errors(figures: &Figures) -> String {
    let errors: Vec<String> = figures.errors.iter().map(|(name, number)| format!("{name} {number}")).collect();
    if errors.is_empty() { String::new() } else { format!(" ({})", errors.join(", ")) }
}

/// An amount in 1e-9 as text.
fn amount(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    format!("{sign}{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}

fn milliseconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

fn some_milliseconds<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => milliseconds(time, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn report(answered: usize) -> Report {
        let settings = Settings {
            program: "x".into(),
            form: Form::Distributed,
            seconds: 60,
            faults_every: (2, 10),
            seed: 42,
            clients: 1,
            logs: None,
            progress: Arc::new(|_| {}),
        };
        let happened = |fault, recovery| Happened {
            fault,
            from: Duration::from_secs(1),
            until: Duration::from_secs(2),
            recovery: Some(Duration::from_millis(recovery)),
        };
        let happened = vec![
            happened(Fault::KillWorker { number: 0 }, 30),
            happened(Fault::KillWorker { number: 2 }, 400),
            happened(Fault::KillRedis, 200),
        ];
        let figures = Figures { answered, topped_up: 3_000_000_000, charged: 1, ..Figures::default() };
        Report::new(&settings, Vec::new(), happened, Some(Duration::from_secs(3)), figures, Vec::new())
    }

    #[test]
    fn a_person_and_a_program_find_everything() {
        let report = report(7);
        assert!(report.is_passed());
        let text = report.markdown();
        for part in [
            "seed 42",
            "3 (1 x kill -9 redis, 2 x kill -9 worker)",
            "400 ms after kill -9 worker 2",
            "3.000000000 = 0.000000001",
            "| checks | all passed |",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["answered"], 7);
        assert_eq!(json["happened"][1]["recovery"], 400);
        assert_eq!(json["held_after"], 3000);
    }

    #[test]
    fn a_trial_without_answers_proves_nothing() {
        let report = report(0);
        assert!(!report.is_passed());
        assert!(report.markdown().contains("1 FAILED") && report.markdown().contains("- no call was answered"));
    }
}
