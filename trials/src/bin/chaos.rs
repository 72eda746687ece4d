//! `chaos`: kills, stops and confuses the parts of a running service, and proves that no money went wrong.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use clap::Parser;
use trials::chaos::{Form, Settings, new_seed, run};

/// Kill, stop and confuse the parts of a running service, and hold what clients saw, what the provider counted and what the ledger
/// says against each other.
///
/// It starts everything by itself on free ports in a temporary folder: PostgreSQL, Redis, a provider, two API processes and three
/// workers. The schedule of faults is made from the seed alone. The exit status is 1 when any check fails.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  chaos --program target/release/xiaoyi                    ten minutes
  chaos --program target/release/xiaoyi --seconds 120 --seed 7 --logs chaos-logs
  chaos --program target/release/xiaoyi --embedded --seconds 60    one process on SQLite")]
struct Arguments {
    /// The program to try
    #[arg(long, value_name = "FILE")]
    program: PathBuf,
    /// How long, in seconds: 10 to 86400
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(10..=86_400))]
    seconds: u64,
    /// The time between two faults in seconds, from the least to the greatest
    #[arg(long, value_name = "LEAST..GREATEST", default_value = "2..10", value_parser = range)]
    faults_every: (u64, u64),
    /// Makes the same schedule again [default: a new one, which is printed]
    #[arg(long)]
    seed: Option<u64>,
    /// How many clients call at the same time: 1 to 1000
    #[arg(long, default_value_t = 24, value_parser = clients)]
    clients: usize,
    /// One process on SQLite; only that process is killed, and connections to the provider are cut
    #[arg(long)]
    embedded: bool,
    /// Copy the logs of all processes to this folder when a check fails
    #[arg(long, value_name = "FOLDER")]
    logs: Option<PathBuf>,
    /// Print the report as one JSON value; the progress goes to the standard error output either way
    #[arg(long)]
    json: bool,
}

fn range(text: &str) -> Result<(u64, u64), String> {
    let numbers = text.split_once("..").and_then(|(least, most)| Some((least.parse().ok()?, most.parse().ok()?)));
    numbers
        .filter(|(least, most)| (1..=*most).contains(least) && *most <= 3600)
        .ok_or_else(|| "must be two numbers of seconds, the smaller one first, at least 1, such as 2..10".to_owned())
}

fn clients(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| (1..=1000).contains(count)).ok_or_else(|| "must be 1 to 1000".to_owned())
}

fn main() -> ExitCode {
    match try_it(Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "chaos: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn try_it(arguments: Arguments) -> Result<bool> {
    let seed = match arguments.seed {
        Some(seed) => seed,
        None => new_seed()?,
    };
    let report = run(&Settings {
        program: std::path::absolute(&arguments.program)?,
        form: if arguments.embedded { Form::Embedded } else { Form::Distributed },
        seconds: arguments.seconds,
        faults_every: arguments.faults_every,
        seed,
        clients: arguments.clients,
        logs: arguments.logs,
        progress: Arc::new(|line| {
            let _ = writeln!(std::io::stderr(), "{line}");
        }),
    })?;
    let text = if arguments.json { serde_json::to_string(&report)? } else { report.markdown() };
    writeln!(std::io::stdout(), "{text}")?;
    Ok(report.is_passed())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_well_formed_and_their_examples_work() {
        Arguments::command().debug_assert();
        let help = Arguments::command().get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples: Vec<&str> = help.lines().filter(|line| line.trim_start().starts_with("chaos ")).collect();
        assert_eq!(examples.len(), 3);
        for example in examples {
            let command = example.trim_start().split("   ").next().unwrap_or_default();
            Arguments::try_parse_from(command.split(' ')).unwrap();
        }
    }

    #[test]
    fn ranges_are_checked() {
        assert_eq!(range("2..10"), Ok((2, 10)));
        assert_eq!(range("3..3"), Ok((3, 3)));
        for wrong in ["", "2", "10..2", "0..5", "1..9999", "a..b", "-1..5"] {
            assert!(range(wrong).is_err(), "{wrong}");
        }
        assert_eq!((clients("24"), clients("0").is_err(), clients("1001").is_err()), (Ok(24), true, true));
    }
}
