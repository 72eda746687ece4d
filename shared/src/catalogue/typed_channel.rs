//! What people type about a channel, on the command line and in the panel: where it is, and the provider's key. (Names of models are in
//! [`crate::values`].)

use secrecy::SecretString;

use super::address::{AddressError, check_base_url};
use super::channel::ChannelKind;
use super::echo_options::EchoOptions;
use crate::config::Settings;

/// The longest key of a provider, in bytes.
pub const LONGEST_KEY: usize = 8_192;
/// The base URL of an echo channel that answers at once.
const PLAIN_ECHO: &str = "echo:";

/// Why a base URL is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBaseUrl {
    /// It is no address of a provider.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// It is no base URL of an echo channel: what is wrong, in words.
    #[error("{0}")]
    Echo(String),
}

/// The base URL of a channel of this kind, as it is kept; where none is given, the settings' one.
///
/// # Errors
/// [`BadBaseUrl`].
pub fn base_url(kind: ChannelKind, given: Option<&str>, settings: &Settings) -> Result<String, BadBaseUrl> {
    match kind {
        ChannelKind::Echo => {
            let base_url = given.unwrap_or(PLAIN_ECHO);
            EchoOptions::parse(base_url).map_err(BadBaseUrl::Echo)?;
            Ok(base_url.to_owned())
        }
        ChannelKind::OpenAi => {
            let base_url = given.unwrap_or(settings.openai.base_url.as_str());
            check_base_url(base_url)?;
            Ok(base_url.trim_end_matches('/').to_owned())
        }
    }
}

/// A text is no provider's key. It is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the provider's key must be 1 to {LONGEST_KEY} bytes of text without spaces and line breaks")]
pub struct BadProviderKey;

/// Reads a provider's key; spaces and line breaks around it are left out.
///
/// # Errors
/// [`BadProviderKey`].
pub fn provider_key(text: &str) -> Result<SecretString, BadProviderKey> {
    let key = text.trim();
    let is_bad = |character: char| character.is_control() || character == ' ';
    if key.is_empty() || key.len() > LONGEST_KEY || key.chars().any(is_bad) {
        return Err(BadProviderKey);
    }
    Ok(SecretString::from(key))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::config::Sources;

    #[rstest]
    #[case(ChannelKind::Echo, None, Some("echo:"))]
    #[case(ChannelKind::Echo, Some("echo://local?delay_ms=5"), Some("echo://local?delay_ms=5"))]
    #[case(ChannelKind::Echo, Some("https://api.openai.com"), None)]
    #[case(ChannelKind::OpenAi, None, Some("https://api.openai.com/v1"))]
    #[case(ChannelKind::OpenAi, Some("http://127.0.0.1:1/v1/"), Some("http://127.0.0.1:1/v1"))]
    #[case(ChannelKind::OpenAi, Some("http://169.254.169.254/"), None)]
    #[case(ChannelKind::OpenAi, Some("ftp://example.com"), None)]
    fn base_urls(#[case] kind: ChannelKind, #[case] given: Option<&str>, #[case] expected: Option<&str>) {
        let settings = Settings::load(&Sources::default()).unwrap();
        assert_eq!(base_url(kind, given, &settings).ok().as_deref(), expected);
    }

    #[rstest]
    #[case("sk-x\n", true)]
    #[case(" \n", false)]
    #[case("a b", false)]
    fn keys(#[case] text: &str, #[case] allowed: bool) {
        assert_eq!(provider_key(text).is_ok(), allowed);
    }
}
