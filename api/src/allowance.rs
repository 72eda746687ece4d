//! What a key may still do, in the headers that OpenAI's clients know: `x-ratelimit-limit-requests` and its like.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use shared::limits::Allowances;

/// Every name that [`tell`] may write.
pub(crate) const NAMES: [&str; 8] = [
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-tokens",
    "x-ratelimit-limit-concurrency",
    "x-ratelimit-remaining-concurrency",
];

/// A rate's names: of its limit, of what remains, and of when it is whole again.
type Names = [HeaderName; 3];

const REQUESTS: Names =
    [HeaderName::from_static(NAMES[0]), HeaderName::from_static(NAMES[1]), HeaderName::from_static(NAMES[2])];
const TOKENS: Names =
    [HeaderName::from_static(NAMES[3]), HeaderName::from_static(NAMES[4]), HeaderName::from_static(NAMES[5])];
/// Not OpenAI's, which has no such limit. Nobody knows when a running call ends, so there is no reset.
const PLACES: [HeaderName; 2] = [HeaderName::from_static(NAMES[6]), HeaderName::from_static(NAMES[7])];

/// Tells a client what its key may still do; of a limit that it has not, nothing.
pub(crate) fn tell(allowances: &Allowances, headers: &mut HeaderMap) {
    for (names, rate) in [(REQUESTS, allowances.requests), (TOKENS, allowances.tokens)] {
        if let Some(rate) = rate {
            let [limit, remaining, reset] = names;
            headers.insert(limit, HeaderValue::from(rate.limit));
            headers.insert(remaining, HeaderValue::from(rate.remaining));
            if let Ok(value) = HeaderValue::try_from(length(rate.reset_ms)) {
                headers.insert(reset, value);
            }
        }
    }
    if let Some(places) = allowances.places {
        let [limit, remaining] = PLACES;
        headers.insert(limit, HeaderValue::from(places.limit));
        headers.insert(remaining, HeaderValue::from(places.remaining));
    }
}

/// A length of time as OpenAI writes it, which is how Go does: `20ms`, `1.5s`, `6m0s`, `1h0m0s`.
fn length(ms: u64) -> String {
    if ms > 0 && ms < 1000 {
        return format!("{ms}ms");
    }
    let (whole, fraction) = (ms / 1000, ms % 1000);
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    let fraction = if fraction == 0 { String::new() } else { format!(".{fraction:03}") };
    let seconds = format!("{seconds}{}s", fraction.trim_end_matches('0'));
    match (hours, minutes) {
        (0, 0) => seconds,
        (0, _) => format!("{minutes}m{seconds}"),
        _ => format!("{hours}h{minutes}m{seconds}"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::length;

    #[rstest]
    #[case(0, "0s")]
    #[case(1, "1ms")]
    #[case(20, "20ms")]
    #[case(999, "999ms")]
    #[case(1_000, "1s")]
    #[case(1_001, "1.001s")]
    #[case(1_500, "1.5s")]
    #[case(59_990, "59.99s")]
    #[case(60_000, "1m0s")]
    #[case(90_951, "1m30.951s")]
    #[case(360_000, "6m0s")]
    #[case(3_600_000, "1h0m0s")]
    #[case(3_723_040, "1h2m3.04s")]
    fn as_openai_writes_it(#[case] ms: u64, #[case] expected: &str) {
        assert_eq!(length(ms), expected);
    }
}
