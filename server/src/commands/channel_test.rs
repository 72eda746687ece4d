//! `xiaoyi channel test`: asks a channel for a few words, from this process, outside of queue and ledger.

use std::collections::BTreeMap;
use std::sync::Arc;

use clap::Args;
use serde_json::json;
use shared::catalogue::channel;
use shared::config::Settings;
use shared::deployment::Workbench;
use shared::queue::Endpoint;
use shared::values;

use super::read;
use crate::failure::Failure;
use crate::output::Report;

/// What `channel test` takes.
#[derive(Debug, Args)]
pub(crate) struct TestArguments {
    /// The channel's name
    name: String,
    /// Which of its models to ask [default: a model for chats]
    #[arg(long, value_parser = values::model)]
    model: Option<String>,
}

/// What a channel answered.
pub(crate) struct Tested {
    pub(crate) channel: String,
    pub(crate) model: String,
    pub(crate) answer: String,
    pub(crate) milliseconds: i64,
}

/// Asks it.
pub(crate) async fn run(workbench: &Workbench, arguments: TestArguments) -> Result<Report, Failure> {
    let Tested { channel, model, answer, milliseconds } =
        ask(workbench, arguments.name, arguments.model.as_deref()).await?;
    let text = format!("Channel {channel} works: {model} answered {answer:?} in {milliseconds} ms.");
    Report::of(&json!({"ok": true, "model": model, "answer": answer, "milliseconds": milliseconds}), text)
}

/// Asks the channel of this name for `model`, or for one that most probably chats.
pub(crate) async fn ask(workbench: &Workbench, name: String, model: Option<&str>) -> Result<Tested, Failure> {
    let sealer = Arc::clone(&workbench.sealer);
    let (channel, models) = read(workbench, move |connection| Ok(channel::open(connection, &sealer, &name)?)).await?;
    let name = channel.name.clone();
    let (model, upstream) = choose(&models, model, &workbench.settings).ok_or_else(|| {
        Failure::new("unknown_model", format!("channel {name} does not serve that model: see `xiaoyi channel list`"))
    })?;
    let endpoint = purpose(model, &workbench.settings);
    let tested = worker::test_channel(&workbench.settings, channel, upstream, endpoint).await;
    let test = tested.map_err(|error| {
        Failure::new("channel_test_failed", format!("channel {name} gave no answer for {model}: {error}"))
    })?;
    Ok(Tested { channel: name, model: model.to_owned(), answer: test.answer, milliseconds: test.milliseconds })
}

/// The model to ask, with the provider's name: the wanted one, or one that most probably chats.
fn choose<'a>(
    models: &'a BTreeMap<String, String>,
    wanted: Option<&str>,
    settings: &Settings,
) -> Option<(&'a str, &'a str)> {
    let chat = settings.models.chat_default.as_str();
    let chosen = match wanted {
        Some(wanted) => models.get_key_value(wanted),
        None => models
            .get_key_value(chat)
            .or_else(|| models.iter().find(|(model, _)| purpose(model, settings) == Endpoint::Chat))
            .or_else(|| models.first_key_value()),
    };
    chosen.map(|(public, upstream)| (public.as_str(), upstream.as_str()))
}

/// What a model is most probably for, by its name.
fn purpose(model: &str, settings: &Settings) -> Endpoint {
    if model == settings.models.image_default || model.starts_with("dall-e") {
        Endpoint::Images
    } else if model == settings.models.moderation_default || model.contains("moderation") {
        Endpoint::Moderations
    } else if model.contains("embed") {
        Endpoint::Embeddings
    } else {
        Endpoint::Chat
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use shared::config::Sources;

    use super::*;

    #[rstest]
    #[case(&["dall-e-3", "gpt-3.5", "gpt-4"], None, Some("gpt-3.5"))]
    #[case(&["dall-e-3", "gpt-4"], None, Some("gpt-4"))]
    #[case(&["dall-e-3"], None, Some("dall-e-3"))]
    #[case(&["dall-e-3", "gpt-4"], Some("dall-e-3"), Some("dall-e-3"))]
    #[case(&["a-text-embedding", "gpt-4", "text-moderation"], None, Some("gpt-4"))]
    #[case(&["a-text-embedding"], None, Some("a-text-embedding"))]
    #[case(&["gpt-4"], Some("gpt-5"), None)]
    fn chooses(#[case] models: &[&str], #[case] wanted: Option<&str>, #[case] expected: Option<&str>) {
        let models = models.iter().map(|model| ((*model).to_owned(), format!("{model}-upstream"))).collect();
        let settings = Settings::load(&Sources::default()).unwrap();
        let chosen = choose(&models, wanted, &settings);
        assert_eq!(chosen.map(|(model, _)| model), expected);
        assert!(chosen.is_none_or(|(model, upstream)| upstream == format!("{model}-upstream")));
    }
}
