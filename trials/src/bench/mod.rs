//! What the service costs beside a plain reverse proxy: the provider alone, nginx before it, and xiaoyi in both of its forms, in turns
//! and on one machine, with every answer charged and the charges checked after each run.

mod accounting;
mod arguments;
mod books;
mod format;
mod marks;
mod nginx;
mod process;
mod provider;
mod report;
mod rounds;
mod subject;
mod wrk;
mod xiaoyi;

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use self::arguments::{Arguments, Command, Options};
use self::rounds::Figures;
use self::subject::Subjects;

/// Runs the program. Its exit status is 1 when something went wrong or a mark was missed, and 2 for bad usage.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let ended = match arguments.command {
        Some(Command::Provider { listen }) => serve_provider(&listen).map(|()| ExitCode::SUCCESS),
        None => measure(&arguments.options),
    };
    ended.unwrap_or_else(|error| {
        say(&format!("bench: {error:#}"));
        ExitCode::FAILURE
    })
}

/// One thread: it takes the least from those who are measured beside it.
fn serve_provider(listen: &str) -> anyhow::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(provider::serve(listen))
}

fn measure(options: &Options) -> anyhow::Result<ExitCode> {
    let runtime = Runtime::new()?;
    runtime.block_on(async {
        let (mut terminated, mut interrupted) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        // Whatever ends this, what was started is stopped: each part stops when it is dropped.
        tokio::select! {
            measured = run(options) => measured,
            _ = terminated.recv() => anyhow::bail!("terminated"),
            _ = interrupted.recv() => anyhow::bail!("interrupted"),
        }
    })
}

async fn run(options: &Options) -> anyhow::Result<ExitCode> {
    // Fails only where one is set already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let subjects = Subjects::start(options).await?;
    let figures: Figures = rounds::measure(&subjects, options).await?;
    let setting = subjects.setting()?;
    for installation in subjects.installations() {
        installation.audit()?;
    }
    drop(subjects);
    let marks = marks::check(&figures);
    let output = if options.json {
        report::json(&figures, &setting, &marks)?
    } else {
        report::markdown(&figures, &setting, &marks)
    };
    std::io::stdout().write_all(output.as_bytes()).context("the result cannot be printed")?;
    Ok(if marks.iter().all(|mark| mark.is_met) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A line about what is going on, beside the result.
fn say(line: &str) {
    // Nobody may be reading; the result matters.
    let _ = writeln!(std::io::stderr(), "{line}");
}
