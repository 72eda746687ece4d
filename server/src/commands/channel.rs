//! `xiaoyi channel`: the ways to providers.

use clap::Subcommand;
use shared::audit_log::Origin;
use shared::catalogue::changes;
use shared::catalogue::channel::{self, Channel};
use shared::config::Settings;
use shared::db::Connection;
use shared::deployment::Workbench;

use super::channel_add::{self, AddArguments};
use super::channel_test::{self, TestArguments};
use super::{open, read, write};
use crate::failure::Failure;
use crate::output::Report;
use crate::table::{Side, table};

/// What to do with channels.
#[derive(Debug, Subcommand)]
pub(crate) enum ChannelCommand {
    /// Add a channel; a running server uses it within a second
    #[command(after_help = "Examples:
  KEY=... xiaoyi channel add --name openai --type openai --api-key-env KEY --models gpt-4=gpt-4o,gpt-3.5=gpt-4o-mini
  xiaoyi channel add --name local --type openai --base-url http://127.0.0.1:11434/v1 --models llama3
  xiaoyi channel add --name echo --type echo --models test

The key is kept sealed. It is never given on the command line itself, where every user of the machine could read it.")]
    Add(Box<AddArguments>),
    /// List all channels, without their keys
    #[command(after_help = "Example:\n  xiaoyi channel list")]
    List,
    /// Ask a channel for a few words, outside of queue and ledger
    #[command(after_help = "Example:\n  xiaoyi channel test openai")]
    Test(TestArguments),
    /// Use a channel again
    #[command(after_help = "Example:\n  xiaoyi channel enable openai")]
    Enable {
        /// Its name
        name: String,
    },
    /// Use a channel no more; running calls finish
    #[command(after_help = "Example:\n  xiaoyi channel disable openai")]
    Disable {
        /// Its name
        name: String,
    },
}

impl ChannelCommand {
    /// See [`crate::cli::Command::refuse_what_is_not_built`].
    pub(crate) fn refuse_what_is_not_built(&self) -> Result<(), Failure> {
        match self {
            Self::Add(arguments) => arguments.refuse_what_is_not_built(),
            _ => Ok(()),
        }
    }
}

/// Does it.
pub(crate) async fn run(settings: Settings, command: ChannelCommand) -> Result<Report, Failure> {
    let workbench = open(settings).await?;
    match command {
        ChannelCommand::Add(arguments) => channel_add::run(&workbench, *arguments).await,
        ChannelCommand::Test(arguments) => channel_test::run(&workbench, arguments).await,
        ChannelCommand::List => {
            let channels = read(&workbench, |connection| Ok(channel::list(connection)?)).await?;
            Report::of(&channels, listed(&channels))
        }
        ChannelCommand::Enable { name } => {
            let channel = switch(&workbench, name, true).await?;
            Report::of(&channel, format!("Channel {} is enabled.", channel.name))
        }
        ChannelCommand::Disable { name } => {
            let channel = switch(&workbench, name, false).await?;
            Report::of(&channel, format!("Channel {} is disabled.", channel.name))
        }
    }
}

async fn switch(workbench: &Workbench, name: String, enabled: bool) -> Result<Channel, Failure> {
    let now = workbench.clock.now();
    let switch = move |connection: &mut Connection| {
        Ok(changes::switch_channel(connection, &name, enabled, &Origin::COMMAND_LINE, now)?)
    };
    write(workbench, switch).await
}

fn listed(channels: &[Channel]) -> String {
    let row = |channel: &Channel| {
        let models = channel.models.iter().map(|(public, upstream)| match public == upstream {
            true => public.clone(),
            false => format!("{public}={upstream}"),
        });
        [
            channel.name.clone(),
            channel.kind.to_string(),
            if channel.enabled { "enabled" } else { "disabled" }.to_owned(),
            channel.priority.to_string(),
            channel.weight.to_string(),
            if channel.has_api_key { "set" } else { "none" }.to_owned(),
            channel.base_url.clone(),
            models.collect::<Vec<_>>().join(","),
        ]
    };
    let rows: Vec<_> = channels.iter().map(row).collect();
    let headings = [
        ("NAME", Side::Left),
        ("TYPE", Side::Left),
        ("STATE", Side::Left),
        ("PRIORITY", Side::Right),
        ("WEIGHT", Side::Right),
        ("KEY", Side::Left),
        ("BASE URL", Side::Left),
        ("MODELS", Side::Left),
    ];
    table(headings, &rows, "No channels yet. Add one with: xiaoyi channel add")
}
