//! How a channel does, in words.

use shared::calls::{self, ChannelHealth};
use shared::clock::Timestamp;
use shared::db::{Connection, DbError};

use crate::frame::page::Page;

/// What is near enough to be called "now", in milliseconds.
const NOW_MS: i64 = 15 * 60_000;
const DAY_MS: i64 = 24 * 60 * 60_000;

/// How channels have done, by name.
pub(in crate::panel) type ByName = std::collections::BTreeMap<String, ChannelHealth>;

/// In the last 15 minutes.
pub(in crate::panel) fn recent(connection: &mut Connection, now: Timestamp) -> Result<ByName, DbError> {
    calls::channel_health(connection, now.plus_ms(-NOW_MS))
}

/// In the last 24 hours.
pub(super) fn of_a_day(connection: &mut Connection, now: Timestamp) -> Result<ByName, DbError> {
    calls::channel_health(connection, now.plus_ms(-DAY_MS))
}

/// The class of its state and the word for it.
pub(in crate::panel) fn state(health: &ChannelHealth, page: &Page) -> (&'static str, &'static str) {
    match (health.attempts, health.failures) {
        (0, _) => ("off", page.say("not tried", "未使用")),
        (_, 0) => ("good", page.say("answers", "正常")),
        (attempts, failures) if failures >= attempts => ("bad", page.say("fails", "全部失败")),
        (attempts, failures) if failures.saturating_mul(2) >= attempts => ("bad", page.say("mostly fails", "多数失败")),
        _ => ("warn", page.say("fails at times", "偶有失败")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use actix_web::test::TestRequest;
    use rstest::rstest;

    use super::*;
    use crate::frame::side::tests::side;

    #[rstest]
    #[case(0, 0, "off")]
    #[case(10, 0, "good")]
    #[case(10, 1, "warn")]
    #[case(10, 5, "bad")]
    #[case(1, 1, "bad")]
    fn failures_are_told_apart(#[case] attempts: i64, #[case] failures: i64, #[case] class: &str) {
        let page =
            Page::anonymous(&TestRequest::default().to_http_request(), &Arc::new(side("http://x")), Timestamp(0));
        let health = ChannelHealth { attempts, failures, ..ChannelHealth::default() };
        assert_eq!(state(&health, &page).0, class);
    }
}
