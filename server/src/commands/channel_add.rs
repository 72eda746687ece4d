//! `xiaoyi channel add`: one more way to a provider.

use std::io::Read;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use shared::audit_log::Origin;
use shared::catalogue::changes;
use shared::catalogue::channel::{ChannelKind, NewChannel};
use shared::catalogue::typed_channel::{LONGEST_KEY, base_url, provider_key};
use shared::db::Connection;
use shared::deployment::Workbench;
use shared::values::{self, ModelMap};

use super::write;
use crate::failure::Failure;
use crate::output::{Report, note};

/// What `channel add` takes.
#[derive(Debug, Args)]
pub(crate) struct AddArguments {
    /// A unique name for people
    #[arg(long)]
    name: String,
    /// How the provider is spoken to
    #[arg(long = "type", value_name = "TYPE", value_enum)]
    kind: Kind,
    /// Where it is [default: OPENAI_BASE_URL, or https://api.openai.com/v1]
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// The name of the environment variable that holds the provider's key
    #[arg(long, value_name = "VARIABLE", conflicts_with = "api_key_stdin")]
    api_key_env: Option<String>,
    /// Read the provider's key from the standard input
    #[arg(long)]
    api_key_stdin: bool,
    /// The models that it serves: the name that developers use = the provider's name
    #[arg(long, value_name = "PUBLIC=UPSTREAM,...", value_parser = values::model_map)]
    models: ModelMap,
    /// Lower is tried first: 0 to 1000
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(0..=1000))]
    priority: i64,
    /// Among channels of the same priority, how often: 1 to 1000
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..=1000))]
    weight: i64,
    #[arg(long, hide = true)]
    api_key: Option<SecretString>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Any API like OpenAI's
    Openai,
    /// Built in: answers with the prompt, for tests
    Echo,
    #[value(hide = true)]
    Anthropic,
}

impl AddArguments {
    /// See [`crate::cli::Command::refuse_what_is_not_built`].
    pub(crate) fn refuse_what_is_not_built(&self) -> Result<(), Failure> {
        if self.kind == Kind::Anthropic {
            let instead = "use --type openai with an endpoint that speaks OpenAI's API";
            return Err(Failure::not_built("`--type anthropic` is", instead));
        }
        if self.api_key.is_some() {
            let message = "--api-key does not exist, since every user of the machine could read it: use --api-key-env or --api-key-stdin";
            return Err(Failure::usage(message));
        }
        Ok(())
    }
}

/// Adds it.
pub(crate) async fn run(workbench: &Workbench, arguments: AddArguments) -> Result<Report, Failure> {
    let kind = match arguments.kind {
        Kind::Echo => ChannelKind::Echo,
        Kind::Openai | Kind::Anthropic => ChannelKind::OpenAi,
    };
    let base_url = base_url(kind, arguments.base_url.as_deref(), &workbench.settings)
        .map_err(|error| Failure::new("bad_base_url", error.to_string()))?;
    let api_key = api_key(&arguments)?;
    if kind == ChannelKind::Echo && api_key.is_some() {
        return Err(Failure::usage("an echo channel has no key"));
    }
    let ModelMap(models) = arguments.models;
    let new = NewChannel {
        name: arguments.name,
        kind,
        base_url,
        api_key,
        models,
        priority: arguments.priority,
        weight: arguments.weight,
    };
    if kind == ChannelKind::OpenAi && new.api_key.is_none() {
        note(
            "xiaoyi: warning: no key was given (--api-key-env, --api-key-stdin); the provider will be called without one",
        );
    }
    let (sealer, now) = (Arc::clone(&workbench.sealer), workbench.clock.now());
    let add = move |connection: &mut Connection| {
        Ok(changes::add_channel(connection, &sealer, &new, &Origin::COMMAND_LINE, now)?)
    };
    let channel = write(workbench, add).await?;
    let models: Vec<&str> = channel.models.keys().map(String::as_str).collect();
    let text = format!(
        "Channel {name} serves {}. Try it with: xiaoyi channel test {name}",
        models.join(", "),
        name = channel.name
    );
    Report::of(&channel, text)
}

fn api_key(arguments: &AddArguments) -> Result<Option<SecretString>, Failure> {
    let text = match &arguments.api_key_env {
        Some(variable) => variable_value(variable)?,
        None if arguments.api_key_stdin => standard_input()?,
        None => return Ok(None),
    };
    provider_key(&text).map(Some).map_err(|error| Failure::new("bad_api_key", error.to_string()))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one variable that is no setting: the person names it in --api-key-env"
)]
fn variable_value(name: &str) -> Result<Zeroizing<String>, Failure> {
    let is_name =
        |name: &str| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    match std::env::var(name) {
        Ok(text) if !text.trim().is_empty() => Ok(Zeroizing::new(text)),
        Ok(_) | Err(_) if is_name(name) => {
            Err(Failure::new("no_api_key", format!("the environment variable {name} is not set")))
        }
        // What does not look like a variable's name may be the key itself, so it is not repeated.
        Ok(_) | Err(_) => Err(Failure::new(
            "no_api_key",
            "--api-key-env takes the name of an environment variable that holds the key; there is none of the given name",
        )),
    }
}

fn standard_input() -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::with_capacity(LONGEST_KEY + 2));
    let most = u64::try_from(LONGEST_KEY).unwrap_or(u64::MAX).saturating_add(2);
    let read = std::io::stdin().lock().take(most).read_to_string(&mut text);
    read.map_err(|error| {
        Failure::new("bad_api_key", format!("the key cannot be read from the standard input: {error}"))
    })?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_the_place_of_a_name_is_not_repeated() {
        let failure = variable_value("sk-proj-abc").unwrap_err();
        assert!(!failure.message.contains("abc"), "{}", failure.message);
        assert!(variable_value("XY_NOT_SET").unwrap_err().message.contains("XY_NOT_SET"));
    }
}
