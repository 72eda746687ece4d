//! The command line: which commands there are, and the flags that all of them have. What a command takes stands in its own file.

mod serving;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};
use shared::config::{Settings, Sources};
use tokio::runtime::{Builder, Runtime};

use crate::commands::balance::BalanceArguments;
use crate::commands::channel::ChannelCommand;
use crate::commands::key::KeyCommand;
use crate::commands::ledger::LedgerCommand;
use crate::commands::price::PriceCommand;
use crate::commands::probe::ProbeArguments;
use crate::commands::secret::SecretCommand;
use crate::commands::staff::StaffCommand;
use crate::commands::tenant::TenantCommand;
use crate::commands::topup::TopupArguments;
use crate::commands::usage::UsageArguments;
use crate::failure::Failure;

pub(crate) use self::serving::{DemoArguments, ServeArguments};

/// xiaoyi (小一) resells calls to language models, with exact accounts.
#[derive(Debug, Parser)]
#[command(name = "xiaoyi", version, after_help = EXAMPLES)]
struct CommandLine {
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    serve: ServeArguments,
    #[command(subcommand)]
    command: Option<Command>,
}

const EXAMPLES: &str = "Examples:
  xiaoyi demo --once                 one sample call with its charge, in a second
  xiaoyi                             serve (the same as: xiaoyi serve)
  xiaoyi tenant create acme          then: key issue, topup, channel add
  xiaoyi balance --tenant acme --json

Settings come from flags, the environment (XIAOYI_..., DATABASE_URL, OPENAI_API_KEY) and the file that XIAOYI_CONFIG names.
Exit status: 0 success, 1 failure, 2 bad usage.";

/// What every command takes.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Flags {
    /// Print one JSON value on the standard output
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,
    /// The file of settings, instead of the one that XIAOYI_CONFIG names
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    config: Option<PathBuf>,
    /// The folder of the database and of the secret that the program made [default: data]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    data_dir: Option<String>,
    /// The database, instead of DATABASE_URL
    #[arg(long, global = true, value_name = "URL", help_heading = "Global options")]
    database_url: Option<String>,
}

/// One thing to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve: the developers' API, the workers and the panel, in one process or one of them in each [default]
    #[command(
        after_help = "Examples:\n  xiaoyi serve\n  XIAOYI_API_LISTEN=0.0.0.0:80 xiaoyi serve\n  DATABASE_URL=postgres://xiaoyi@db/xiaoyi REDIS_URL=redis://cache xiaoyi serve --role worker\n\nOnce it listens it prints one line: {\"event\":\"ready\",\"api\":\"http://...\",...}"
    )]
    Serve(ServeArguments),
    /// Show a call and its charge, on a data folder of its own; then serve
    #[command(
        after_help = "Examples:\n  xiaoyi demo            serves until it is stopped\n  xiaoyi demo --once     shows one call and ends"
    )]
    Demo(DemoArguments),
    /// Make the database, or bring its schema up to date
    #[command(after_help = "Example:\n  xiaoyi migrate")]
    Migrate,
    /// Customers: create, list, suspend, resume
    Tenant {
        #[command(subcommand)]
        action: TenantCommand,
    },
    /// Secret Keys: issue, list, revoke, rotate
    Key {
        #[command(subcommand)]
        action: KeyCommand,
    },
    /// Book a customer's payment
    Topup(TopupArguments),
    /// Show a customer's balance
    Balance(BalanceArguments),
    /// Show what a customer was charged for
    Usage(UsageArguments),
    /// Ways to providers: add, list, test, enable, disable
    Channel {
        #[command(subcommand)]
        action: ChannelCommand,
    },
    /// Prices of models: list, set
    Price {
        #[command(subcommand)]
        action: PriceCommand,
    },
    /// People who use the panel: create, list, disable
    Staff {
        #[command(subcommand)]
        action: StaffCommand,
    },
    /// The secret that seals what the database keeps: rotate
    Secret {
        #[command(subcommand)]
        action: SecretCommand,
    },
    /// The ledger: audit
    Ledger {
        #[command(subcommand)]
        action: LedgerCommand,
    },
    /// Ask an address of ours whether it is well: exit status 0 when it answers with 2xx
    #[command(after_help = "Example:\n  xiaoyi probe http://127.0.0.1:8082/readyz")]
    Probe(ProbeArguments),
    /// Check configuration, database, secret, channels and prices
    #[command(
        after_help = "Examples:\n  xiaoyi doctor\n  xiaoyi doctor --json\n\nExit status 1 when a check finds an error; a warning is not one."
    )]
    Doctor,
}

impl CommandLine {
    /// The command that was meant: without a name it is `serve`.
    fn command(self) -> Result<(Command, Flags), clap::Error> {
        let named_at_the_front = self.serve != ServeArguments::default();
        let command = match self.command {
            None => Command::Serve(self.serve),
            Some(_) if named_at_the_front => {
                let message = "--role and the listeners belong to `serve`: put them behind that word";
                return Err(Self::command_for_errors().error(clap::error::ErrorKind::ArgumentConflict, message));
            }
            Some(command) => command,
        };
        Ok((command, self.flags))
    }

    fn command_for_errors() -> clap::Command {
        <Self as CommandFactory>::command()
    }
}

/// Reads the command line.
pub(crate) struct Cli;

impl Cli {
    /// The command and the flags.
    ///
    /// # Errors
    /// clap's help, version or complaint.
    pub(crate) fn read(arguments: &[OsString]) -> Result<(Command, Flags), clap::Error> {
        CommandLine::try_parse_from(arguments)?.command()
    }
}

impl Flags {
    /// All settings, with the flags over everything else.
    ///
    /// # Errors
    /// The first setting that is not allowed.
    pub(crate) fn settings(&self, command: &Command) -> Result<Settings, Failure> {
        let mut flags = Vec::new();
        let mut put = |setting, value: &Option<String>| flags.extend(value.clone().map(|value| (setting, value)));
        put("data.dir", &self.data_dir);
        put("database.url", &self.database_url);
        let listeners = match command {
            Command::Serve(arguments) => arguments.listeners(),
            Command::Demo(arguments) => arguments.listeners(),
            _ => Vec::new(),
        };
        flags.extend(listeners);
        let mut sources = Sources::from_process(flags);
        if let Some(file) = &self.config {
            sources.file = Some(file.clone());
        }
        let mut settings = Settings::load(&sources)?;
        if matches!(command, Command::Demo(_)) && settings.log.filter == "info" {
            // A demo tells its story itself.
            settings.log.filter = "warn".to_owned();
        }
        Ok(settings)
    }
}

impl Command {
    /// Refuses what the command line knows but this version does not do, before anything is touched.
    ///
    /// # Errors
    /// With exit status 2.
    pub(crate) fn refuse_what_is_not_built(&self) -> Result<(), Failure> {
        match self {
            Self::Key { action } => action.refuse_what_is_not_built(),
            Self::Channel { action } => action.refuse_what_is_not_built(),
            _ => Ok(()),
        }
    }

    /// The runtime that fits: threads for what serves, the present thread for a command.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub(crate) fn runtime(&self) -> Result<Runtime, Failure> {
        let mut builder = match self {
            Self::Serve(_) | Self::Demo(_) => {
                let mut builder = Builder::new_multi_thread();
                builder.worker_threads(std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2)));
                builder
            }
            _ => Builder::new_current_thread(),
        };
        builder.enable_all().build().map_err(Failure::internal)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn read(line: &str) -> Result<(Command, Flags), clap::Error> {
        let arguments: Vec<OsString> =
            std::iter::once("xiaoyi").chain(line.split_whitespace()).map(OsString::from).collect();
        Cli::read(&arguments)
    }

    #[test]
    fn the_definition_is_sound() {
        CommandLine::command_for_errors().debug_assert();
    }

    #[rstest]
    #[case("")]
    #[case("--role all")]
    #[case("serve --role all")]
    #[case("--json")]
    #[case("--api-listen 127.0.0.1:0")]
    fn without_a_name_it_serves(#[case] line: &str) {
        let (command, _) = read(line).unwrap();
        assert!(matches!(command, Command::Serve(_)), "{line}");
        command.refuse_what_is_not_built().unwrap();
    }

    #[rstest]
    #[case::anthropic("channel add --name a --type anthropic --models m", "--type anthropic")]
    #[case::spend_limit("key issue --tenant t --spend-limit 10.00 --per day", "--spend-limit")]
    #[case::per("key issue --tenant t --per month", "--per")]
    #[case::key_in_sight("channel add --name a --type openai --models m --api-key sk-1", "--api-key")]
    fn what_is_not_built_is_named(#[case] line: &str, #[case] named: &str) {
        let (command, _) = read(line).unwrap();
        let failure = command.refuse_what_is_not_built().unwrap_err();
        assert_eq!(failure.status, 2, "{line}");
        assert!(failure.message.contains(named), "{}", failure.message);
        assert!(!failure.message.contains("sk-1"), "{}", failure.message);
    }

    #[rstest]
    #[case("tenant")]
    #[case("tenant create")]
    #[case("nothing")]
    #[case("serve --role some")]
    #[case("--role all tenant list")]
    #[case("topup --tenant a --amount ten --reference r")]
    #[case("key issue --tenant a --expires tomorrow")]
    #[case("key issue --tenant a --console all")]
    #[case("key issue --tenant a --ip example.com")]
    #[case("key issue --tenant a --ip 10.0.0.0/33")]
    #[case("key issue --tenant a --ip 10.0.0.1,")]
    #[case("key issue --tenant a --rpm 0")]
    #[case("key issue --tenant a --rpm many")]
    #[case("key issue --tenant a --tpm -5")]
    #[case("key issue --tenant a --concurrency 100001")]
    #[case("price set m --prompt 1.00 --completion -1.00")]
    #[case("price set m --prompt 1.00 --completion 1.00 --basis guess")]
    #[case("channel add --name a --type echo --models =b")]
    #[case("usage --tenant a --group-by hour")]
    #[case("usage --tenant a --from yesterday")]
    #[case("staff create ann --role owner")]
    #[case("staff create ann@example.com")]
    #[case("staff create ann@example.com --role root")]
    fn bad_usage_is_status_2(#[case] line: &str) {
        assert_eq!(read(line).unwrap_err().exit_code(), 2, "{line}");
    }

    #[rstest]
    #[case("--help")]
    #[case("--version")]
    #[case("key rotate --help")]
    fn help_and_version_are_no_failure(#[case] line: &str) {
        assert_eq!(read(line).unwrap_err().exit_code(), 0, "{line}");
    }

    #[test]
    fn every_command_has_an_example() {
        fn check(command: &clap::Command, path: &str) {
            if !command.has_subcommands() && !command.is_hide_set() && command.get_name() != "help" {
                let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.contains("xiaoyi "), "{path} has no example");
            }
            for inner in command.get_subcommands() {
                check(inner, &format!("{path} {}", inner.get_name()));
            }
        }
        check(&CommandLine::command_for_errors(), "xiaoyi");
    }

    #[test]
    fn global_flags_stand_anywhere() {
        assert!(read("--json tenant list").unwrap().1.json);
        assert!(read("tenant list --json").unwrap().1.json);
        assert_eq!(read("balance --tenant a --data-dir /d").unwrap().1.data_dir.as_deref(), Some("/d"));
    }
}
