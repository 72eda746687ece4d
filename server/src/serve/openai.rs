//! The channel that `OPENAI_API_KEY` asks for.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use shared::audit_log::Origin;
use shared::catalogue::address::check_base_url;
use shared::catalogue::changes;
use shared::catalogue::channel::{self, Channel, ChannelKind, NewChannel};
use shared::deployment::Workbench;

use crate::failure::Failure;

/// How the channel is named.
pub(super) const NAME: &str = "openai";
/// What is said where [`keeps_another_key`].
pub(super) const KEEPS_ITS_KEY: &str = "OPENAI_API_KEY is not used: the channel openai keeps the other key that it was made with; to change it, \
     add a channel with the new key (`xiaoyi channel add --name NEW --type openai --api-key-env OPENAI_API_KEY --models ...`) and \
     disable the old one (`xiaoyi channel disable openai`)";

/// With `OPENAI_API_KEY` set and no channel of type openai, makes one.
pub(super) async fn make_channel(workbench: &Workbench) -> Result<Option<Channel>, Failure> {
    let openai = &workbench.settings.openai;
    let Some(api_key) = openai.api_key.clone() else { return Ok(None) };
    if openai.models.is_empty() {
        tracing::warn!("OPENAI_API_KEY is set, but openai.models is empty: no channel is made");
        return Ok(None);
    }
    let base_url = openai.base_url.as_str().to_owned();
    check_base_url(&base_url)
        .map_err(|error| Failure::new("bad_setting", format!("OPENAI_BASE_URL={base_url}: {error}")))?;
    let models = openai.models.clone();
    let (sealer, now) = (Arc::clone(&workbench.sealer), workbench.clock.now());
    workbench
        .database
        .write(move |connection| {
            let present = channel::list(connection)?;
            if present.iter().any(|channel| channel.kind == ChannelKind::OpenAi) {
                return Ok(None);
            }
            let is_free = |name: &String| present.iter().all(|channel| channel.name != *name);
            let name =
                std::iter::once(NAME.to_owned()).chain((2..).map(|number| format!("{NAME}-{number}"))).find(is_free);
            let name = name.unwrap_or_default();
            let new = NewChannel {
                name,
                kind: ChannelKind::OpenAi,
                base_url,
                api_key: Some(api_key),
                models,
                priority: 100,
                weight: 1,
            };
            Ok::<_, Failure>(Some(changes::add_channel(connection, &sealer, &new, &Origin::SERVICE, now)?))
        })
        .await
}

/// Whether `OPENAI_API_KEY` is set in vain: the channel of its name has another key, and no other channel has this one.
pub(super) async fn keeps_another_key(workbench: &Workbench) -> Result<bool, Failure> {
    let Some(given) = workbench.settings.openai.api_key.clone() else { return Ok(false) };
    let sealer = Arc::clone(&workbench.sealer);
    let keys: Vec<(String, Option<SecretString>)> = workbench
        .database
        .read(move |connection| {
            let mut keys = Vec::new();
            for channel in channel::list(connection)?.into_iter().filter(|channel| channel.kind == ChannelKind::OpenAi)
            {
                // One that cannot be opened is left out, which is logged where channels are loaded.
                if let Ok((open, _)) = channel::open(connection, &sealer, &channel.name) {
                    keys.push((open.name, open.api_key));
                }
            }
            Ok(keys)
        })
        .await?;
    let has_given =
        |key: &Option<SecretString>| key.as_ref().is_some_and(|key| key.expose_secret() == given.expose_secret());
    Ok(keys.iter().any(|(name, _)| name == NAME) && !keys.iter().any(|(_, key)| has_given(key)))
}
