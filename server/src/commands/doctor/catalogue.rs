//! Channels, models and prices: what can be called, and what it costs.

use std::collections::BTreeSet;
use std::sync::Arc;

use shared::catalogue::channel::{self, Channel, ChannelKind};
use shared::catalogue::{Snapshot, price_list};
use shared::config::PriceSettings;
use shared::deployment::Workbench;
use shared::money::Amount;
use shared::price::Price;

use super::{Check, State};
use crate::failure::Failure;

/// Looks at all of it.
pub(super) async fn checks(workbench: &Workbench) -> Result<Vec<Check>, Failure> {
    let sealer = Arc::clone(&workbench.sealer);
    let (channels, snapshot, default_price) = workbench
        .database
        .read(move |connection| {
            let snapshot = Snapshot::load(connection, &sealer)?;
            Ok((channel::list(connection)?, snapshot, price_list::default_price(connection)?))
        })
        .await?;
    let models = &workbench.settings.models;
    let defaults = [&models.chat_default, &models.image_default, &models.moderation_default];
    let wanted: BTreeSet<&str> = models.known.iter().chain(defaults).map(String::as_str).collect();
    let unserved: Vec<&str> = wanted.into_iter().filter(|model| snapshot.model(model).is_none()).collect();
    let at_default: Vec<&str> = snapshot.model_names().filter(|model| !snapshot.has_own_price(model)).collect();
    let mut checks = vec![of_channels(&channels)];
    checks.extend(of_echo(&channels));
    checks.push(of_models(snapshot.model_names().count(), &unserved));
    checks.push(of_prices(&at_default));
    checks.push(of_default_price(&workbench.settings.price, default_price.as_ref()));
    Ok(checks)
}

fn of_channels(channels: &[Channel]) -> Check {
    let enabled: Vec<&str> =
        channels.iter().filter(|channel| channel.enabled).map(|channel| channel.name.as_str()).collect();
    if enabled.is_empty() {
        let detail = "no channel is enabled, so every call is refused: add one with `xiaoyi channel add`";
        return Check::new("channels", State::Warn, detail);
    }
    Check::new("channels", State::Ok, format!("enabled: {}; `xiaoyi channel test NAME` tries one", enabled.join(", ")))
}

fn of_echo(channels: &[Channel]) -> Option<Check> {
    let is_echo = |channel: &&Channel| channel.enabled && channel.kind == ChannelKind::Echo;
    let echo: Vec<&str> = channels.iter().filter(is_echo).map(|channel| channel.name.as_str()).collect();
    if echo.is_empty() {
        return None;
    }
    let detail = format!(
        "{} answers with the prompt and charges for it; real channels go before it. Not for production",
        echo.join(", ")
    );
    Some(Check::new("echo", State::Warn, detail))
}

fn of_models(served: usize, unserved: &[&str]) -> Check {
    if unserved.is_empty() {
        return Check::new("models", State::Ok, format!("{served} served"));
    }
    Check::new(
        "models",
        State::Warn,
        format!("{served} served; no channel serves {}, which the settings name", unserved.join(", ")),
    )
}

fn of_prices(at_default: &[&str]) -> Check {
    if at_default.is_empty() {
        return Check::new("prices", State::Ok, "every served model has one of its own");
    }
    let detail = format!(
        "the default price of the settings counts for {}: set one with `xiaoyi price set`",
        at_default.join(", ")
    );
    Check::new("prices", State::Warn, detail)
}

/// A start of `serve` makes the settings' price the default; until then the stored one counts.
fn of_default_price(settings: &PriceSettings, stored: Option<&Price>) -> Check {
    let told = |price: [Amount; 3]| {
        let [prompt, completion, image] = price;
        format!("{prompt} prompt, {completion} completion, {image} image")
    };
    let wanted = [settings.prompt, settings.completion, settings.image];
    let counts = stored.map(|price| [price.prompt, price.completion, price.image]);
    if counts == Some(wanted) {
        return Check::new("default price", State::Ok, told(wanted));
    }
    let counts = counts.map_or_else(|| "nothing".to_owned(), told);
    let detail = format!(
        "the settings say {}, but stored and charged is {counts}: the next start of `xiaoyi serve` with these settings makes theirs the default",
        told(wanted)
    );
    Check::new("default price", State::Warn, detail)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use shared::price::{Basis, PriceVersion};

    use super::*;

    #[test]
    fn a_default_price_that_the_settings_do_not_have_is_told() {
        let amount = |text: &str| text.parse::<Amount>().unwrap();
        let settings = PriceSettings { prompt: amount("1.00"), completion: amount("2.00"), image: amount("3.00") };
        let mut stored = Price {
            version: PriceVersion(1),
            model: String::new(),
            prompt: amount("1.00"),
            completion: amount("2.00"),
            images: BTreeMap::new(),
            image: amount("3.00"),
            basis: Basis::Estimate,
            is_default: true,
        };
        assert_eq!(of_default_price(&settings, Some(&stored)).state, State::Ok);
        assert_eq!(of_default_price(&settings, None).state, State::Warn);
        stored.image = amount("0.30");
        let check = of_default_price(&settings, Some(&stored));
        assert_eq!(check.state, State::Warn);
        assert!(check.detail.contains("3.00 image") && check.detail.contains("0.30 image"), "{}", check.detail);
    }

    fn channel(name: &str, kind: ChannelKind, enabled: bool) -> Channel {
        let base_url = "echo:".to_owned();
        let models = [("m".to_owned(), "m".to_owned())].into();
        Channel {
            id: 1,
            name: name.to_owned(),
            kind,
            base_url,
            has_api_key: false,
            models,
            priority: 100,
            weight: 1,
            enabled,
        }
    }

    #[test]
    fn only_enabled_channels_count() {
        let off = [channel("a", ChannelKind::Echo, false)];
        assert_eq!(of_channels(&off).state, State::Warn);
        assert_eq!(of_echo(&off), None);
        let on = [channel("a", ChannelKind::Echo, true), channel("b", ChannelKind::OpenAi, true)];
        assert_eq!(of_channels(&on).state, State::Ok);
        assert!(of_echo(&on).unwrap().detail.starts_with("a answers"));
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(of_models(1, &["gpt-4"]).detail.contains("gpt-4"));
        assert!(of_prices(&["gpt-4"]).detail.contains("gpt-4"));
        assert_eq!((of_models(1, &[]).state, of_prices(&[]).state), (State::Ok, State::Ok));
    }
}
