//! The measurement itself: everybody in turn, again and again, so that whatever else the machine does befalls all alike.

use serde::Serialize;

use super::accounting::{self, Accounting};
use super::arguments::Options;
use super::format::median;
use super::say;
use super::subject::{Name, Subject, Subjects};

/// Few connections show how long a call takes, many how much goes through.
pub(super) const FEW: u32 = 4;
pub(super) const MANY: u32 = 32;

/// One measurement of one subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Run {
    /// Answers a second.
    pub(super) rate: u64,
    pub(super) p50_us: u64,
    pub(super) p99_us: u64,
    /// Processor time of a thousand requests.
    pub(super) cpu_us: u64,
    /// Requests that were charged though wrk ended before their answers: at most one a connection.
    pub(super) unheard: u64,
}

/// All measurements of one subject with one number of connections, one a round.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Series {
    pub(super) name: Name,
    pub(super) connections: u32,
    pub(super) runs: Vec<Run>,
}

/// Everything that was measured.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Figures {
    pub(super) series: Vec<Series>,
    /// The most memory of each subject, in KiB.
    pub(super) peak_memory_kib: Vec<(Name, u64)>,
}

impl Series {
    pub(super) fn median(&self, of: impl Fn(&Run) -> u64) -> u64 {
        median(self.runs.iter().map(of).collect())
    }
}

impl Figures {
    pub(super) fn find(&self, name: Name, connections: u32) -> Option<&Series> {
        self.series.iter().find(|series| series.name == name && series.connections == connections)
    }

    /// The share of nginx' rate, in ten-thousandths: the median of what each round gave.
    pub(super) fn of_nginx(&self, series: &Series) -> Option<u64> {
        let nginx = self.find(Name::Nginx, series.connections)?;
        let each = series.runs.iter().zip(&nginx.runs);
        Some(median(each.map(|(run, nginx)| (run.rate * 10_000).checked_div(nginx.rate).unwrap_or(0)).collect()))
    }

    /// By how much the median call takes longer than at the provider alone, in microseconds: the median of what each round gave.
    pub(super) fn added_us(&self, series: &Series) -> Option<u64> {
        let provider = self.find(Name::Provider, series.connections)?;
        let each = series.runs.iter().zip(&provider.runs);
        Some(median(each.map(|(run, provider)| run.p50_us.saturating_sub(provider.p50_us)).collect()))
    }

    fn add(&mut self, name: Name, connections: u32, run: Run) {
        let known = self.series.iter_mut().find(|series| series.name == name && series.connections == connections);
        match known {
            Some(series) => series.runs.push(run),
            None => self.series.push(Series { name, connections, runs: vec![run] }),
        }
    }
}

/// Warms everybody up, and measures.
///
/// # Errors
/// When a call fails, or charges and answers do not agree.
pub(super) async fn measure(subjects: &Subjects, options: &Options) -> anyhow::Result<Figures> {
    let accounting = Accounting::new()?;
    for connections in [FEW, MANY] {
        for subject in subjects.all() {
            one(subjects, subject, connections, options.warm_up(), accounting).await?;
        }
    }
    let mut figures = Figures::default();
    for round in 1..=options.rounds() {
        for connections in [FEW, MANY] {
            for subject in subjects.all() {
                let run = one(subjects, subject, connections, options.length(), accounting).await?;
                let (name, of) = (subject.name.word(), options.rounds());
                say(&format!("round {round} of {of}, {connections} connections, {name}: {} requests/s", run.rate));
                figures.add(subject.name, connections, run);
            }
        }
    }
    for subject in subjects.all() {
        figures.peak_memory_kib.push((subject.name, accounting::peak_memory_kib(&subject.processes)?));
    }
    Ok(figures)
}

async fn one(
    subjects: &Subjects,
    subject: &Subject,
    connections: u32,
    length: std::time::Duration,
    accounting: Accounting,
) -> anyhow::Result<Run> {
    let installation = subjects.installation(subject.name);
    let before = match installation {
        Some(installation) => Some(installation.books_at_rest().await?),
        None => None,
    };
    let cpu_before = accounting.cpu_us(&subject.processes)?;
    let seen = subject.load.run(connections, length).await?;
    let cpu_us = accounting.cpu_us(&subject.processes)?.saturating_sub(cpu_before);
    let unheard = match (installation, before) {
        (Some(installation), Some(before)) => installation.check_run(before, seen.requests, connections).await?,
        _ => 0,
    };
    let cpu_us = cpu_us.saturating_mul(1_000).checked_div(seen.requests).unwrap_or(0);
    Ok(Run { rate: seen.rate(), p50_us: seen.p50_us, p99_us: seen.p99_us, cpu_us, unheard })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Rate and median of each round.
    pub(in crate::bench) type Measured<'a> = &'a [(u64, u64)];

    /// Figures of these measurements.
    pub(in crate::bench) fn figures(of: &[(Name, u32, Measured<'_>)]) -> Figures {
        let mut figures = Figures::default();
        for (name, connections, runs) in of {
            for (rate, p50_us) in *runs {
                let run = Run { rate: *rate, p50_us: *p50_us, p99_us: 2 * p50_us, cpu_us: 123_456, unheard: 0 };
                figures.add(*name, *connections, run);
            }
            if !figures.peak_memory_kib.iter().any(|(known, _)| known == name) {
                figures.peak_memory_kib.push((*name, 2_048));
            }
        }
        figures
    }

    #[test]
    fn rounds_are_compared_each_with_itself() {
        let figures = figures(&[
            (Name::Provider, FEW, &[(90_000, 20), (30_000, 200), (90_000, 20)]),
            (Name::Nginx, FEW, &[(20_000, 100), (5_000, 400), (20_000, 100)]),
            (Name::Embedded, FEW, &[(4_000, 520), (1_000, 2_000), (3_000, 620)]),
        ]);
        let embedded = figures.find(Name::Embedded, FEW).unwrap();
        assert_eq!(embedded.median(|run| run.rate), 3_000);
        assert_eq!(figures.of_nginx(embedded), Some(2_000), "the slow round is no worse than the others");
        assert_eq!(figures.added_us(embedded), Some(600));
        assert!(figures.find(Name::Embedded, MANY).is_none());
    }
}
