//! Where calls wait, and whether what waits is safe there.

use shared::deployment::Workbench;
use shared::redis_store::ServerFacts;

use super::{Check, State};

/// The oldest version whose commands are enough.
const OLDEST: u32 = 7;

/// Looks at it.
pub(super) async fn check(workbench: &Workbench) -> Check {
    match workbench.redis_facts().await {
        Ok(None) => Check::new("queue", State::Ok, "in the memory of the serving process; set REDIS_URL for several"),
        Ok(Some(facts)) => judged(&facts),
        Err(error) => Check::new("queue", State::Error, error.to_string()),
    }
}

fn judged(facts: &ServerFacts) -> Check {
    let mut wrong = Vec::new();
    let mut state = State::Ok;
    let major: Option<u32> = facts.version.split('.').next().and_then(|major| major.parse().ok());
    if major.is_none_or(|major| major < OLDEST) {
        wrong.push("7.0 or newer is needed");
        state = State::Error;
    }
    if facts.maxmemory_policy.as_deref().is_some_and(|policy| policy != "noeviction") {
        wrong.push("set maxmemory-policy to noeviction: another one drops waiting calls when memory is short");
        state = State::Error;
    }
    if facts.is_append_only == Some(false) {
        wrong.push("set appendonly to yes, or a restart of Redis forgets the calls that wait (no money is lost)");
        if state == State::Ok {
            state = State::Warn;
        }
    }
    let shown = |value: Option<&str>| value.unwrap_or("unknown (CONFIG is not allowed)").to_owned();
    let append_only = facts.is_append_only.map(|is_on| if is_on { "yes" } else { "no" });
    let found = format!(
        "Redis {}, maxmemory-policy={} appendonly={}",
        facts.version,
        shown(facts.maxmemory_policy.as_deref()),
        shown(append_only)
    );
    Check::new("queue", state, if wrong.is_empty() { found } else { format!("{found}; {}", wrong.join("; ")) })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("7.0.15", Some("noeviction"), Some(true), State::Ok)]
    #[case("8.2.0", None, None, State::Ok)]
    #[case("6.2.1", Some("noeviction"), Some(true), State::Error)]
    #[case("7.0.15", Some("allkeys-lru"), Some(true), State::Error)]
    #[case("7.0.15", Some("noeviction"), Some(false), State::Warn)]
    fn a_redis_is_judged(
        #[case] version: &str,
        #[case] policy: Option<&str>,
        #[case] is_append_only: Option<bool>,
        #[case] expected: State,
    ) {
        let facts =
            ServerFacts { version: version.to_owned(), maxmemory_policy: policy.map(str::to_owned), is_append_only };
        assert_eq!(judged(&facts).state, expected);
    }
}
