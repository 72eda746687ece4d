//! The delays of an echo channel, as its base URL gives them.

use url::Url;

/// The longest delay, in milliseconds.
const LONGEST_MS: u64 = 600_000;

/// How slowly an echo channel answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EchoOptions {
    /// Before the first text, in milliseconds.
    pub delay_ms: u64,
    /// Between the chunks of a stream, in milliseconds.
    pub chunk_delay_ms: u64,
}

impl EchoOptions {
    /// Reads a channel's base URL: `echo:`, or `echo://local?delay_ms=200&chunk_delay_ms=50` with either option.
    ///
    /// # Errors
    /// What is wrong with it, for the person who typed it.
    pub fn parse(base_url: &str) -> Result<Self, String> {
        let url = Url::parse(base_url).ok().filter(is_echo).ok_or_else(|| {
            format!("the base URL of an echo channel is echo: or echo://local?delay_ms=200&chunk_delay_ms=50, not {base_url:?}")
        })?;
        let mut delay_ms = None;
        let mut chunk_delay_ms = None;
        for (name, value) in url.query_pairs() {
            let option = match &*name {
                "delay_ms" => &mut delay_ms,
                "chunk_delay_ms" => &mut chunk_delay_ms,
                _ => return Err(format!("an echo channel has no option {name:?}, only delay_ms and chunk_delay_ms")),
            };
            if option.is_some() {
                return Err(format!("the option {name} is given twice"));
            }
            let milliseconds = value.parse().ok().filter(|milliseconds| *milliseconds <= LONGEST_MS);
            *option = Some(
                milliseconds.ok_or_else(|| format!("the option {name} must be 0 to {LONGEST_MS}, not {value:?}"))?,
            );
        }
        Ok(Self { delay_ms: delay_ms.unwrap_or(0), chunk_delay_ms: chunk_delay_ms.unwrap_or(0) })
    }
}

fn is_echo(url: &Url) -> bool {
    let bare =
        url.username().is_empty() && url.password().is_none() && url.port().is_none() && url.fragment().is_none();
    url.scheme() == "echo" && bare && matches!(url.host_str(), None | Some("local")) && matches!(url.path(), "" | "/")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::shortest("echo:", 0, 0)]
    #[case::local("echo://local", 0, 0)]
    #[case::slash("echo://local/", 0, 0)]
    #[case::both("echo://local?delay_ms=200&chunk_delay_ms=50", 200, 50)]
    #[case::without_host("echo:?chunk_delay_ms=50", 0, 50)]
    #[case::longest("echo://local/?delay_ms=600000", 600_000, 0)]
    fn read(#[case] text: &str, #[case] delay_ms: u64, #[case] chunk_delay_ms: u64) {
        assert_eq!(EchoOptions::parse(text), Ok(EchoOptions { delay_ms, chunk_delay_ms }));
    }

    #[rstest]
    #[case::empty("", r#"not """#)]
    #[case::http("http://local", "not \"http://local\"")]
    #[case::other_host("echo://remote", "not \"echo://remote\"")]
    #[case::path("echo://local/v1", "not \"echo://local/v1\"")]
    #[case::port("echo://local:80", "not \"echo://local:80\"")]
    #[case::unknown("echo://local?delay=1", "no option \"delay\"")]
    #[case::twice("echo:?delay_ms=1&delay_ms=2", "delay_ms is given twice")]
    #[case::too_long("echo:?delay_ms=600001", "delay_ms must be 0 to 600000, not \"600001\"")]
    #[case::negative("echo:?chunk_delay_ms=-1", "chunk_delay_ms must be 0 to 600000, not \"-1\"")]
    #[case::no_number("echo:?delay_ms=", "delay_ms must be 0 to 600000, not \"\"")]
    fn refused(#[case] text: &str, #[case] expected: &str) {
        let message = EchoOptions::parse(text).unwrap_err();
        assert!(message.contains(expected), "{message}");
    }
}
