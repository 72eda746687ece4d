//! Providers that do right: what reaches them, what of their answers reaches the client, and how channels are set up.

mod departures;
mod features;
mod inputs;
mod passing_through;
mod setting_up;
mod usage;

use crate::support::provider::Provider;
use crate::support::reseller::{PROVIDER_KEY, Reseller};

/// The public name of the one model, and the provider's.
const MODEL: &str = "gpt-4";
const UPSTREAM: &str = "upstream-model";
/// The default prices, per million tokens in 1e-9.
const PROMPT_PRICE: i64 = 10_000_000_000;
const COMPLETION_PRICE: i64 = 30_000_000_000;

/// A server with one channel to a provider.
async fn open(settings: &[(&str, &str)], balance: &str) -> (Provider, Reseller) {
    let provider = Provider::start();
    let reseller = Reseller::open_with_balance(settings, balance);
    let publics = [MODEL, "text-davinci-003", "dall-e-3", "text-embedding-3-small", "omni-moderation-latest"];
    let models = publics.map(|public| (public, UPSTREAM));
    reseller.add_channel("wholesale", &provider.url(), &models, "100");
    reseller.wait_for_changes().await;
    (provider, reseller)
}

/// What a provider must read in the header Authorization.
fn authorization() -> String {
    format!("Bearer {PROVIDER_KEY}")
}
