//! `xiaoyi key`: Secret Keys of developers.

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use shared::audit_log::Entry;
use shared::clock::Timestamp;
use shared::config::Settings;
use shared::deployment::Workbench;
use shared::key::{self, Key, KeyPolicy};
use shared::limits::KeyLimits;
use shared::secret_key::KeyId;
use shared::tenant::Tenant;
use shared::values::{self, Span};

use super::key_issue::{self, IssueArguments, new_secret};
use super::{OfTenant, open, read, record, write};
use crate::failure::Failure;
use crate::output::Report;
use crate::table::{Side, table};

/// What to do with Secret Keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Issue a key; its secret is shown this one time
    #[command(after_help = "Examples:
  xiaoyi key issue --tenant acme
  xiaoyi key issue --tenant acme --name ci --expires 30d --models gpt-3.5,gpt-4
  xiaoyi key issue --tenant acme --rpm 60 --tpm 100000 --concurrency 4 --ip 203.0.113.0/24
  xiaoyi key issue --tenant acme --console tenant      it sees all of the tenant's calls")]
    Issue(Box<IssueArguments>),
    /// List a tenant's keys, without their secrets
    #[command(after_help = "Example:\n  xiaoyi key list --tenant acme")]
    List(OfTenant),
    /// Refuse a key everywhere within a second, for good
    #[command(after_help = "Example:\n  xiaoyi key revoke 3fQ9aZ0kLm2P")]
    Revoke {
        /// The key's id: the 12 characters behind sk-xy
        #[arg(value_name = "KID")]
        id: String,
    },
    /// Issue a key with the same policy; the old one works on for a while
    #[command(after_help = "Examples:\n  xiaoyi key rotate 3fQ9aZ0kLm2P\n  xiaoyi key rotate 3fQ9aZ0kLm2P --grace 90m")]
    Rotate(RotateArguments),
}

/// What `key rotate` takes.
#[derive(Debug, Args)]
pub(crate) struct RotateArguments {
    /// The key's id: the 12 characters behind sk-xy
    #[arg(value_name = "KID")]
    id: String,
    /// How long the old key works on
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = values::span)]
    grace: Span,
}

impl KeyCommand {
    /// See [`crate::cli::Command::refuse_what_is_not_built`].
    pub(crate) fn refuse_what_is_not_built(&self) -> Result<(), Failure> {
        match self {
            Self::Issue(arguments) => arguments.refuse_what_is_not_built(),
            _ => Ok(()),
        }
    }
}

/// Does it.
pub(crate) async fn run(settings: Settings, command: KeyCommand) -> Result<Report, Failure> {
    let workbench = open(settings).await?;
    match command {
        KeyCommand::Issue(arguments) => key_issue::run(&workbench, *arguments).await,
        KeyCommand::List(tenant) => {
            let tenant = tenant.find(&workbench).await?;
            let id = tenant.id;
            let keys = read(&workbench, move |connection| Ok(key::list(connection, id)?)).await?;
            let objects: Vec<Value> = keys.iter().map(|key| object(key, &tenant)).collect();
            Report::of(&objects, listed(&keys, workbench.clock.now()))
        }
        KeyCommand::Revoke { id } => revoke(&workbench, &id).await,
        KeyCommand::Rotate(arguments) => rotate(&workbench, arguments).await,
    }
}

async fn revoke(workbench: &Workbench, id: &str) -> Result<Report, Failure> {
    let (id, now) = (key_id(id)?, workbench.clock.now());
    let key = write(workbench, move |connection| {
        let before = key::find(connection, id)?.map(|found| found.key.facts());
        let key = key::revoke(connection, id.as_str(), now)?;
        let after = Some(key.facts());
        let entry = Entry { action: "key.revoke", tenant: Some(key.tenant), subject: id.as_str(), before, after };
        record(connection, entry, now)?;
        Ok(key)
    })
    .await?;
    let revoked_at = key.revoked_at.map(Timestamp::to_rfc3339);
    Report::of(
        &json!({"id": key.id, "revoked_at": revoked_at}),
        format!("Key {id} is revoked: it is refused within a second."),
    )
}

async fn rotate(workbench: &Workbench, arguments: RotateArguments) -> Result<Report, Failure> {
    let (id, now) = (key_id(&arguments.id)?, workbench.clock.now());
    let (plain, secret) = new_secret(workbench).await?;
    let Span(grace_ms) = arguments.grace;
    let (key, old_ends_at) = write(workbench, move |connection| {
        let before = key::find(connection, id)?.map(|found| found.key.facts());
        let (new, old_ends_at) = key::rotate(connection, id.as_str(), now.plus_ms(grace_ms), &secret, now)?;
        let after = Some(json!({"new_id": new.id, "old_ends_at": old_ends_at.to_rfc3339()}));
        let entry = Entry { action: "key.rotate", tenant: Some(new.tenant), subject: id.as_str(), before, after };
        record(connection, entry, now)?;
        Ok((new, old_ends_at))
    })
    .await?;
    let old_expires_at = old_ends_at.to_rfc3339();
    let expires_at = key.policy.expires_at.map(Timestamp::to_rfc3339);
    let shown = key_issue::shown_once(&plain);
    let until = expires_at.as_deref().map_or_else(|| "has no expiry".to_owned(), |end| format!("works until {end}"));
    let text = format!("{shown}\n\nThe new key {} {until}; the old key {id} works until {old_expires_at}.", key.id);
    let object = json!({
        "id": key.id,
        "secret": plain.expose(),
        "expires_at": expires_at,
        "old_id": id,
        "old_expires_at": old_expires_at,
    });
    Report::of(&object, text)
}

/// Reads a key's id. What is no id may be a secret, so no message repeats it.
fn key_id(text: &str) -> Result<KeyId, Failure> {
    if let Some(id) = text.strip_prefix("sk-xy").and_then(|rest| rest.get(..12)).and_then(|id| id.parse::<KeyId>().ok())
    {
        return Err(Failure::usage(format!(
            "give only the key's id, which is {id}; a Secret Key does not belong on a command line"
        )));
    }
    text.parse().map_err(|error: shared::secret_key::InvalidKeyId| Failure::usage(error.to_string()))
}

/// A key as scripts see it, never with its secret.
pub(super) fn object(key: &Key, tenant: &Tenant) -> Value {
    let mut object = key.facts();
    if let Value::Object(fields) = &mut object {
        fields.shift_insert(1, "tenant".to_owned(), tenant.name.clone().into());
    }
    object
}

fn listed(keys: &[Key], now: Timestamp) -> String {
    let row = |key: &Key| {
        let state = match (key.revoked_at, key.ends_at()) {
            (Some(since), _) => format!("revoked since {}", since.to_rfc3339()),
            (None, Some(end)) if end <= now => format!("expired at {}", end.to_rfc3339()),
            (None, Some(end)) => format!("active until {}", end.to_rfc3339()),
            (None, None) => "active".to_owned(),
        };
        let state = match (key.grace_until, key.policy.expires_at) {
            (Some(grace), Some(expiry)) => {
                format!("{state} (rotated: grace until {}, expiry {})", grace.to_rfc3339(), expiry.to_rfc3339())
            }
            (Some(_), None) => format!("{state} (rotated)"),
            (None, _) => state,
        };
        let models = key.policy.models.as_ref().map_or_else(|| "all".to_owned(), |models| models.join(","));
        let (name, console) = (key.policy.name.clone(), key.policy.console.to_string());
        [key.id.to_string(), format!("...{}", key.last_four), name, models, limits(&key.policy), console, state]
    };
    let rows: Vec<_> = keys.iter().map(row).collect();
    let headings = ["ID", "SECRET", "NAME", "MODELS", "LIMITS", "CONSOLE", "STATE"].map(|title| (title, Side::Left));
    table(headings, &rows, "No keys yet. Issue one with: xiaoyi key issue --tenant NAME")
}

/// A policy's limits in the words of the options that made them.
fn limits(policy: &KeyPolicy) -> String {
    let KeyLimits { rpm, tpm, concurrency } = policy.limits;
    let numbers = [("rpm", rpm), ("tpm", tpm), ("concurrency", concurrency)];
    let numbers = numbers.into_iter().filter_map(|(name, limit)| Some(format!("{name} {}", limit?)));
    let networks = policy.ips().map(|ips| format!("ip {}", ips.join(",")));
    let all: Vec<String> = numbers.chain(networks).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_secret_is_refused_without_being_repeated() {
        let secret = "sk-xy0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrsFd51N1gQ";
        let failure = key_id(secret).unwrap_err();
        assert_eq!(failure.status, 2);
        assert!(failure.message.contains("0123456789AB"), "{}", failure.message);
        assert!(!failure.message.contains("CDEFGH"), "{}", failure.message);
        assert!(!key_id("CDEFGHIJKLMNOPQRST").unwrap_err().message.contains("CDEFGH"));
    }
}
