//! `xiaoyi key issue`: a new Secret Key, shown this one time.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use clap::Args;
use serde_json::Value;
use shared::audit_log::Entry;
use shared::catalogue::channel;
use shared::config::Cidr;
use shared::deployment::Workbench;
use shared::key::{self, Console, KeyPolicy, NewSecret};
use shared::limits::KeyLimits;
use shared::secret_key::{KeyId, PlainSecretKey};
use shared::values::{self, When};

use super::{OfTenant, key::object, read, record, write};
use crate::failure::Failure;
use crate::output::{Report, note};

/// What `key issue` takes.
#[derive(Debug, Args)]
pub(crate) struct IssueArguments {
    #[command(flatten)]
    tenant: OfTenant,
    /// A name for people
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    /// From when on it is refused: a moment, or a time from now such as 30d
    #[arg(long, value_name = "WHEN", value_parser = values::when)]
    expires: Option<When>,
    /// The models that it may use, with commas between [default: all]
    #[arg(long, value_name = "MODELS", value_delimiter = ',', value_parser = values::model)]
    models: Option<Vec<String>>,
    /// What its holder sees: its own calls, all of the tenant's, or nothing in the console
    #[arg(long, value_name = "key|tenant|none", default_value = "key")]
    console: Console,
    /// The addresses and networks that it may be used from, with commas between or one an option [default: all]
    #[arg(long, value_name = "CIDR", value_delimiter = ',', value_parser = values::network)]
    ip: Vec<Cidr>,
    /// Requests a minute [default: no limit]
    #[arg(long, value_name = "N", value_parser = values::rate)]
    rpm: Option<NonZeroU32>,
    /// Tokens a minute; a call counts its prompt and the longest answer that it allows [default: no limit]
    #[arg(long, value_name = "N", value_parser = values::rate)]
    tpm: Option<NonZeroU32>,
    /// Calls at the same time [default: no limit]
    #[arg(long, value_name = "N", value_parser = values::concurrency)]
    concurrency: Option<NonZeroU32>,
    #[command(flatten)]
    later: NotBuilt,
}

/// Options that are planned.
#[derive(Debug, Args)]
struct NotBuilt {
    #[arg(long, hide = true)]
    spend_limit: Option<String>,
    #[arg(long, hide = true)]
    per: Option<String>,
}

impl IssueArguments {
    /// See [`crate::cli::Command::refuse_what_is_not_built`].
    pub(crate) fn refuse_what_is_not_built(&self) -> Result<(), Failure> {
        let later = &self.later;
        let given = [("--spend-limit", later.spend_limit.is_some()), ("--per", later.per.is_some())];
        match given.into_iter().find(|(_, is_given)| *is_given) {
            None => Ok(()),
            Some((option, _)) => {
                let what = format!("the option {option} is");
                Err(Failure::not_built(
                    &what,
                    "no key was issued; leave it out, and limit the key by --rpm, --tpm, --models, --expires or the balance",
                ))
            }
        }
    }
}

/// Issues a key.
pub(crate) async fn run(workbench: &Workbench, arguments: IssueArguments) -> Result<Report, Failure> {
    let now = workbench.clock.now();
    let policy = KeyPolicy {
        name: arguments.name,
        models: arguments.models,
        console: arguments.console,
        expires_at: arguments.expires.map(|expires| expires.from(now)),
        limits: KeyLimits { rpm: arguments.rpm, tpm: arguments.tpm, concurrency: arguments.concurrency },
        networks: (!arguments.ip.is_empty()).then_some(arguments.ip),
    };
    policy.check(now)?;
    let tenant = arguments.tenant.find(workbench).await?;
    warn_of_unserved(workbench, policy.models.as_deref().unwrap_or_default()).await?;
    let (plain, secret) = new_secret(workbench).await?;
    let id = tenant.id;
    let key = write(workbench, move |connection| {
        let key = key::issue(connection, id, policy, &secret, now)?;
        let after = Some(key.facts());
        let entry = Entry { action: "key.issue", tenant: Some(id), subject: key.id.as_str(), before: None, after };
        record(connection, entry, now)?;
        Ok(key)
    })
    .await?;
    let mut object = object(&key, &tenant);
    if let Value::Object(fields) = &mut object {
        fields.shift_insert(1, "secret".to_owned(), plain.expose().into());
        fields.shift_remove("revoked_at");
        fields.shift_remove("grace_until");
    }
    Report::of(&object, shown_once(&plain))
}

/// The text that shows a secret, the only one that does.
pub(super) fn shown_once(plain: &PlainSecretKey) -> String {
    format!(
        "{}\n\nThis is the only time that the secret is shown: store it now. Only its hash is kept.",
        plain.expose()
    )
}

/// A new secret, and what of it is kept.
pub(crate) async fn new_secret(workbench: &Workbench) -> Result<(PlainSecretKey, NewSecret), Failure> {
    let sealer = Arc::clone(&workbench.sealer);
    read(workbench, move |connection| {
        let id = KeyId::generate().map_err(|error| Failure::new("no_randomness", error.to_string()))?;
        Ok(key::new_secret(connection, &sealer, id)?)
    })
    .await
}

/// A key may name a model that comes later; a slip of the pen looks just like that.
async fn warn_of_unserved(workbench: &Workbench, models: &[String]) -> Result<(), Failure> {
    let channels = read(workbench, |connection| Ok(channel::list(connection)?)).await?;
    let served: BTreeSet<&String> =
        channels.iter().filter(|channel| channel.enabled).flat_map(|channel| channel.models.keys()).collect();
    for model in models.iter().filter(|model| !served.contains(model)) {
        note(&format!("xiaoyi: warning: no enabled channel serves {model} at present"));
    }
    Ok(())
}
