//! `xiaoyi secret`: replaces the secret that seals what the database keeps.

use std::sync::Arc;
use std::time::Duration;

use clap::Subcommand;
use secrecy::ExposeSecret;
use secrecy::zeroize::Zeroizing;
use serde_json::json;
use shared::audit_log::Entry;
use shared::catalogue::channel;
use shared::config::Settings;
use shared::deployment::Workbench;
use shared::id::RequestId;
use shared::seal::Sealer;
use shared::{idempotency, installation, staff};

use super::{open, record, write};
use crate::failure::Failure;
use crate::output::Report;

/// What to do with the secret.
#[derive(Debug, Subcommand)]
pub(crate) enum SecretCommand {
    /// Seal everything under the new secret, the first of the two that are set
    #[command(after_help = HOW)]
    Rotate,
}

/// The pause between two transactions that seal answers anew: calls go first.
const BETWEEN_ANSWERS: Duration = Duration::from_millis(10);

const HOW: &str = "How to replace the secret:
  1. Make a new one: openssl rand -base64 32
  2. Set XIAOYI_SECRET_KEY=NEW,OLD (or put NEW,OLD into the file: data/secret.key, or XIAOYI_SECRET_KEY_FILE)
     and restart the server, which then opens what either of them sealed.
  3. xiaoyi secret rotate
  4. Set the new one alone, and restart the server.
Secret Keys of developers stay valid. Running step 3 twice does no harm.

Example:
  XIAOYI_SECRET_KEY=NEW,OLD xiaoyi secret rotate";

/// Does it.
pub(crate) async fn run(settings: Settings, command: SecretCommand) -> Result<Report, Failure> {
    let SecretCommand::Rotate = command;
    // First, so that a database that is not there is what the person hears of, as from every other command.
    let workbench = open(settings).await?;
    let place = place(&workbench.settings);
    if !holds_two(&workbench.settings)? {
        let message = format!(
            "{place} holds one secret; set it to NEW,OLD (the new one first) and run this again: see `xiaoyi secret rotate --help`"
        );
        return Err(Failure::new("one_secret", message));
    }
    let sealer = Arc::clone(&workbench.sealer);
    let now = workbench.clock.now();
    let for_answers = Arc::clone(&sealer);
    let (facts, channels, people) = write(&workbench, move |connection| {
        let facts = installation::reseal(connection, &sealer)?;
        let channels = channel::reseal(connection, &sealer)?;
        let people = staff::reseal(connection, &sealer)?;
        let entry =
            Entry { action: "secret.rotate", tenant: None, subject: "XIAOYI_SECRET_KEY", before: None, after: None };
        record(connection, entry, now)?;
        Ok((facts, channels, people))
    })
    .await?;
    let answers = reseal_answers(&workbench, for_answers).await?;
    let text = format!(
        "Sealed anew under the first secret: {facts} values of the installation, the keys of {channels} channels, the codes of {people} people, {answers} kept answers.\n\
         Next: let {place} hold the new secret alone, and restart the server."
    );
    let resealed = facts + channels + people + answers;
    Report::of(
        &json!({"resealed": resealed, "installation": facts, "channels": channels, "staff": people, "answers": answers}),
        text,
    )
}

/// A few at a time, so that a server beside this command goes on: until the end it opens what either secret has sealed.
async fn reseal_answers(workbench: &Workbench, sealer: Arc<Sealer>) -> Result<usize, Failure> {
    let (mut count, mut after) = (0, Some(RequestId::zero()));
    while let Some(from) = after {
        let sealer = Arc::clone(&sealer);
        let (sealed, next) =
            write(workbench, move |connection| Ok(idempotency::reseal(connection, &sealer, from)?)).await?;
        count += sealed;
        after = next;
        tokio::time::sleep(BETWEEN_ANSWERS).await;
    }
    Ok(count)
}

fn place(settings: &Settings) -> String {
    match &settings.secret.key {
        Some(_) => "XIAOYI_SECRET_KEY".to_owned(),
        None => settings.secret_key_path().display().to_string(),
    }
}

fn holds_two(settings: &Settings) -> Result<bool, Failure> {
    let text = match &settings.secret.key {
        Some(text) => Zeroizing::new(text.expose_secret().to_owned()),
        None => {
            let path = settings.secret_key_path();
            let read = std::fs::read_to_string(&path);
            Zeroizing::new(
                read.map_err(|error| Failure::new("no_secret", format!("{} cannot be read: {error}", path.display())))?,
            )
        }
    };
    Ok(text.contains(','))
}
