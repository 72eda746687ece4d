//! What sums are asked for: which charges, of when. What no sum knows is said, and not left out in silence.

use chrono_tz::Tz;
use shared::calls::{CallFilter, StatusFilter};
use shared::clock::Timestamp;
use shared::db::{Connection, DbError};
use shared::key;
use shared::ledger::Period;
use shared::rollups::{By, UsageFilter};

use super::filters::{Grouping, Typed, Understood};
use crate::frame::language::Language;
use crate::frame::moment;
use crate::frame::wrongs::Wrongs;

/// What is summed when no beginning is given: so many days before the end.
const USUAL_DAYS: i64 = 30;
/// The longest period, in days.
const MOST_DAYS: i64 = 366;
/// The longest one when end users of all tenants are told apart, in days: they may be as many as calls.
const MOST_DAYS_OF_ALL_USERS: i64 = 31;
const DAY_MS: i64 = 86_400_000;
/// So many local days can be longer than so many times 24 hours.
const SHIFTED_CLOCKS_MS: i64 = 7_200_000;

/// A question for sums.
pub(super) struct Asked {
    pub(super) filter: UsageFilter,
    pub(super) period: Period,
    /// The code of the refusals that are asked for, if one is.
    pub(super) code: Option<u32>,
    /// What is wrong with it, and was left out.
    pub(super) wrongs: Wrongs,
}

impl Typed {
    /// Reads it as a question for sums by `grouping`. What cannot be understood, or answered, is left out, and said in `language`.
    pub(super) fn ask(
        &self,
        connection: &mut Connection,
        grouping: Grouping,
        language: Language,
        zone: Tz,
        now: Timestamp,
    ) -> Result<Asked, DbError> {
        let Understood { filter, mut wrongs, .. } = self.understand(connection, language, zone)?;
        let CallFilter { tenant, key, model, mut end_user, status, from, to } = filter;
        let code = match (grouping, status) {
            (Grouping::Refusals, Some(StatusFilter::Code(code))) => Some(code),
            _ => None,
        };
        if !self.status.is_empty() && code.is_none() {
            let (english, chinese) = (
                "Sums know no status: leave it out, or show each call.",
                "汇总不区分状态：请清除此项，或显示每次调用。",
            );
            wrongs.add("status", language.say(english, chinese));
        }
        if grouping == Grouping::Refusals && end_user.take().is_some() {
            let (english, chinese) = ("Of refused requests no end user is known.", "被拒请求不记录终端用户。");
            wrongs.add("user", language.say(english, chinese));
        }
        // A key has one tenant, whose sums are fewer than all.
        let tenant = match (tenant, &key) {
            (None, Some(key)) => key::overview(connection, *key)?.map(|found| found.key.tenant),
            (tenant, _) => tenant,
        };
        let (most_days, english, chinese) = if grouping == Grouping::Charged(By::User) && tenant.is_none() {
            (
                MOST_DAYS_OF_ALL_USERS,
                "Of all tenants together, end users are summed over at most 31 days: choose a tenant, or a shorter period.",
                "不限客户时，终端用户汇总的时间范围最长 31 天：请选择客户，或缩短时间范围。",
            )
        } else {
            (
                MOST_DAYS,
                "Sums are over at most 366 days: choose a shorter period.",
                "汇总的时间范围最长 366 天：请缩短时间范围。",
            )
        };
        let to = to.unwrap_or(now.plus_ms(1));
        let usual = moment::day_of(to, -USUAL_DAYS, zone).unwrap_or_else(|| to.plus_ms(-USUAL_DAYS * DAY_MS));
        let from = match from {
            Some(from) if to.since(from) > most_days * DAY_MS + SHIFTED_CLOCKS_MS => {
                wrongs.add("from", language.say(english, chinese));
                usual
            }
            from => from.unwrap_or(usual),
        };
        let filter = UsageFilter { tenant, key, model, end_user };
        Ok(Asked { filter, period: (from, to), code, wrongs })
    }
}
