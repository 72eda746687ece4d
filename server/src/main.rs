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

use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::failure::Failure;
use crate::output::Report;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    match Cli::read(&arguments) {
        Ok((command, flags)) => output::finish(run(command, &flags), flags.json),
        Err(error) => output::refuse(&error, arguments.iter().any(|argument| argument == "--json")),
    }
}

fn run(command: Command, flags: &cli::Flags) -> Result<Report, Failure> {
    command.refuse_what_is_not_built()?;
    let settings = flags.settings(&command)?;
    logging::start(&settings.log)?;
    // Fails only where one is set already, which then is this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = command.runtime()?;
    let report = runtime.block_on(async {
        match command {
            Command::Serve(arguments) => serve::run(settings, arguments.role()).await,
            Command::Demo(arguments) => demo::run(settings, &arguments, flags.json).await,
            Command::Migrate => commands::migrate::run(settings).await,
            Command::Tenant { action } => commands::tenant::run(settings, action).await,
            Command::Key { action } => commands::key::run(settings, action).await,
            Command::Topup(arguments) => commands::topup::run(settings, arguments).await,
            Command::Balance(arguments) => commands::balance::run(settings, arguments).await,
            Command::Usage(arguments) => commands::usage::run(settings, arguments).await,
            Command::Channel { action } => commands::channel::run(settings, action).await,
            Command::Price { action } => commands::price::run(settings, action).await,
            Command::Staff { action } => commands::staff::run(settings, action).await,
            Command::Secret { action } => commands::secret::run(settings, action).await,
            Command::Ledger { action } => commands::ledger::run(settings, action).await,
            Command::Probe(arguments) => commands::probe::run(arguments).await,
            Command::Doctor => commands::doctor::run(settings).await,
        }
    });
    // Whatever still runs on a blocking thread has been answered for; it must not keep the process.
    runtime.shutdown_background();
    report
}
