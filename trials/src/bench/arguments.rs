//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Measures xiaoyi beside nginx and the provider alone, in turns, and checks that every answer was charged
#[derive(Debug, Parser)]
#[command(name = "bench", after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) options: Options,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

const EXAMPLES: &str = "Examples:
  scripts/bench.sh                      all of it, some five minutes
  scripts/bench.sh --quick              the same in half a minute, for a first look
  scripts/bench.sh --only embedded      without PostgreSQL and Redis
  scripts/bench.sh --rounds 9 --json    more rounds, one JSON value
  TMPDIR=/var/tmp scripts/bench.sh      databases on another file system (one in memory makes commits free)

It needs wrk and nginx, and PostgreSQL and Redis for the form on them; scripts/bench.sh installs what is missing.
Exit status: 0 every mark is met, 1 a mark is missed or something went wrong, 2 bad usage.";

/// What to do instead of measuring.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the provider that answers at once, from memory
    Provider {
        /// Address and port; port 0 takes any free port
        #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
        listen: String,
    },
}

/// How to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Two rounds of one second each: shows that it works, not how fast it is
    #[arg(long, conflicts_with_all = ["rounds", "seconds"])]
    quick: bool,
    /// How many times everything is measured in turn; the median counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99), value_name = "N")]
    rounds: u32,
    /// How long each measurement takes
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=60), value_name = "N")]
    seconds: u32,
    /// Measure one form of the service only (the provider and nginx are always measured)
    #[arg(long, value_enum, value_name = "FORM")]
    pub(crate) only: Option<Form>,
    /// Print one JSON value with every round
    #[arg(long)]
    pub(crate) json: bool,
    /// The program that is measured [default: xiaoyi beside this one]
    #[arg(long, value_name = "FILE")]
    pub(crate) xiaoyi: Option<PathBuf>,
}

/// A form of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// One process, SQLite, queue in process
    Embedded,
    /// One API process and one worker on PostgreSQL and Redis
    Separate,
}

impl Options {
    pub(crate) const fn rounds(&self) -> u32 {
        if self.quick { 2 } else { self.rounds }
    }

    pub(crate) fn length(&self) -> Duration {
        Duration::from_secs(if self.quick { 1 } else { self.seconds.into() })
    }

    /// How long each subject is warmed up with each number of connections.
    pub(crate) fn warm_up(&self) -> Duration {
        Duration::from_secs(if self.quick { 1 } else { 3 })
    }

    pub(crate) fn measures(&self, form: Form) -> bool {
        self.only.is_none_or(|only| only == form)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    fn read(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(std::iter::once("bench").chain(line.split_whitespace()))
    }

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn without_arguments_all_is_measured() {
        let options = read("").unwrap().options;
        assert_eq!((options.rounds(), options.length()), (5, Duration::from_secs(4)));
        assert!(options.measures(Form::Embedded) && options.measures(Form::Separate));
    }

    #[test]
    fn a_quick_run_is_short_and_one_form_may_be_enough() {
        let options = read("--quick --only embedded").unwrap().options;
        assert_eq!((options.rounds(), options.length()), (2, Duration::from_secs(1)));
        assert!(options.measures(Form::Embedded) && !options.measures(Form::Separate));
    }

    #[test]
    fn bounds_are_kept_and_help_has_examples() {
        for bad in
            ["--rounds 0", "--rounds 100", "--seconds 0", "--quick --rounds 3", "--only both", "provider --quick"]
        {
            assert_eq!(read(bad).unwrap_err().exit_code(), 2, "{bad}");
        }
        let help = read("--help").unwrap_err();
        assert_eq!(help.kind(), ErrorKind::DisplayHelp);
        assert!(help.to_string().contains("scripts/bench.sh --quick"), "{help}");
    }
}
