//! The log: lines on the standard error output, for people on a terminal and as JSON elsewhere.

use std::io::IsTerminal;

use shared::config::{LogFormat, LogSettings};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::failure::Failure;

/// What libraries say at each start, about things that our own lines say better, and the errors that anyone can cause who connects and
/// does not speak HTTP; the decoder repeats values of headers in them. `RUST_LOG=actix_server=info`,
/// `RUST_LOG=actix_http::h1::dispatcher=error` or `RUST_LOG=actix_http::h1::decoder=debug` brings them back.
const QUIET: &str = "actix_server=warn,actix_http::h1::dispatcher=off,actix_http::h1::decoder=info";

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Starts logging. Call it once.
///
/// # Errors
/// When the filter cannot be read; it names the setting.
pub(crate) fn start(settings: &LogSettings) -> Result<(), Failure> {
    let filter = filter(&settings.filter)?;
    let is_terminal = std::io::stderr().is_terminal();
    let pretty = match settings.format {
        LogFormat::Auto => is_terminal,
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(is_terminal);
    let started = if pretty {
        builder.with_target(false).finish().try_init()
    } else {
        builder.json().flatten_event(true).with_current_span(false).finish().try_init()
    };
    started.map_err(Failure::internal)
}

fn filter(text: &str) -> Result<EnvFilter, Failure> {
    let refused = |why: &str| {
        let allowed = "must be error, warn, info, debug, trace or off, also for a part, such as info,shared=debug";
        Failure::new("bad_setting", format!("RUST_LOG={text} (log.filter): {allowed} ({why})"))
    };
    if let Some(word) = text.split(',').map(str::trim).find(|directive| is_stray(directive)) {
        return Err(refused(&format!("{word} is no level; a part has one behind it, such as {word}=debug")));
    }
    EnvFilter::try_new(format!("{QUIET},{text}")).map_err(|error| refused(&error.to_string()))
}

/// A word alone that is no level. The filter would take it for a part of the program, and a slip of the pen for silence.
fn is_stray(directive: &str) -> bool {
    let is_level = LEVELS.iter().any(|level| directive.eq_ignore_ascii_case(level));
    !directive.is_empty() && !directive.contains('=') && !is_level
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("info")]
    #[case("info,shared=debug")]
    #[case("actix_server=trace")]
    #[case("OFF")]
    #[case("warn,shared=debug,")]
    fn filters(#[case] text: &str) {
        assert!(filter(text).is_ok());
    }

    #[rstest]
    #[case::level_of_a_part("shared=loud")]
    #[case::level("debugg")]
    #[case::part_alone("info,shared")]
    fn a_bad_filter_names_the_setting_and_what_is_allowed(#[case] text: &str) {
        let failure = filter(text).unwrap_err();
        assert_eq!(failure.code, "bad_setting");
        assert!(failure.message.starts_with(&format!("RUST_LOG={text} ")), "{}", failure.message);
        assert!(failure.message.contains("error, warn, info, debug, trace or off"), "{}", failure.message);
    }
}
