//! The one binary of xiaoyi: a role or a command per subcommand.

mod cli;
mod commands;
mod demo;
mod failure;
mod http;
mod logging;
mod monitoring;
mod output;
mod serve;
mod signals;
mod table;
mod values;

use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::failure::Failure;
use crate::output::Report;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    match Cli::read(&arguments) {
        Ok((command, cli)) => output::finish(run(command, &cli), cli.json),
        Err(error) => output::refuse(&error, arguments.iter().any(|argument| argument == "--json")),
    }
}

fn run(command: Command, cli: &Cli) -> Result<Report, Failure> {
    let settings = cli.settings(&command)?;
    logging::start(&settings.log)?;
    // An earlier provider would be ours as well: nothing else in this process sets one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = command.runtime()?;
    let report = runtime.block_on(async {
        match command {
            Command::Serve(arguments) => serve::run(settings, &arguments).await,
            Command::Demo(arguments) => demo::run(settings, &arguments).await,
            Command::Migrate => commands::migrate::run(settings).await,
            Command::Tenant(command) => commands::tenant::run(settings, command).await,
            Command::Key(command) => commands::key::run(settings, command).await,
            Command::Topup(arguments) => commands::topup::run(settings, arguments).await,
            Command::Balance(arguments) => commands::balance::run(settings, arguments).await,
            Command::Usage(arguments) => commands::usage::run(settings, arguments).await,
            Command::Channel(command) => commands::channel::run(settings, command).await,
            Command::Price(command) => commands::price::run(settings, command).await,
            Command::Staff(_) => Err(Failure::not_built("the commands `staff` are", "the operators' panel comes later")),
            Command::Secret(command) => commands::secret::run(settings, command).await,
            Command::Ledger(command) => commands::ledger::run(settings, command).await,
            Command::Doctor => commands::doctor::run(settings).await,
        }
    });
    // Whatever still runs on a blocking thread has been answered for; it must not keep the process.
    runtime.shutdown_background();
    report
}
