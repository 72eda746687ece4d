//! Which calls are shown: what the page's form and the links in it say.

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use shared::calls::{CallFilter, Cursor};
use shared::clock::Timestamp;
use shared::db::{Connection, DbError};
use shared::id::{RequestId, TenantId};
use shared::rollups::By;

use crate::frame::language::Language;
use crate::frame::paging::query_of;
use crate::frame::wrongs::Wrongs;
use crate::frame::{moment, words};
use crate::panel::tenants::choice;

/// What the address says. Empty is not asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Typed {
    /// An id, or a whole name.
    pub(super) tenant: String,
    pub(super) key: String,
    pub(super) model: String,
    /// The end user, as the caller names it.
    pub(super) user: String,
    /// Not empty: those that name no end user.
    pub(super) unnamed: String,
    pub(super) status: String,
    pub(super) from: String,
    pub(super) to: String,
    /// `day`, `model`, `key`, `user`, `tenant` or `refusal`: sums instead of calls.
    pub(super) by: String,
    older: String,
    newer: String,
}

/// What was understood of it.
#[derive(Debug, Default)]
pub(super) struct Understood {
    pub(super) filter: CallFilter,
    pub(super) cursor: Cursor,
    /// What was not, and was left out.
    pub(super) wrongs: Wrongs,
}

impl Typed {
    /// Reads it; a tenant's name is looked up. What cannot be understood is left out, and said in `language`.
    pub(super) fn understand(
        &self,
        connection: &mut Connection,
        language: Language,
        zone: Tz,
    ) -> Result<Understood, DbError> {
        let mut wrongs = Wrongs::default();
        let tenant = read_tenant(connection, &self.tenant, language, &mut wrongs)?;
        let key = given(&self.key).and_then(|text| {
            let key = text.parse();
            key.map_err(|_| wrongs.add("key", language.say("This is no key id.", "这不是密钥编号。"))).ok()
        });
        let status = given(&self.status).and_then(|text| {
            let status = text.parse();
            status.map_err(|_| wrongs.add("status", language.say("There is no such status.", "没有该状态。"))).ok()
        });
        let (from, to) = read_period(&self.from, &self.to, language, zone, &mut wrongs);
        // A name is compared as it was recorded, so blanks around it count.
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let end_user = match (text(&self.user), self.unnamed.is_empty()) {
            (user, true) => user,
            (None, false) => Some(String::new()),
            (Some(_), false) => {
                let (english, chinese) =
                    ("Give a name, or ask for calls without one.", "请填写名称，或选择未提供名称的调用。");
                wrongs.add("user", language.say(english, chinese));
                None
            }
        };
        let filter = CallFilter { tenant, key, model: text(&self.model), end_user, status, from, to };
        Ok(Understood { filter, cursor: self.cursor(), wrongs })
    }

    fn cursor(&self) -> Cursor {
        let id = |text: &str| text.parse::<RequestId>().ok();
        match (id(&self.older), id(&self.newer)) {
            (Some(id), _) => Cursor::Older(id),
            (None, Some(id)) => Cursor::Newer(id),
            (None, None) => Cursor::Newest,
        }
    }

    /// The codes that the form offers: the usual ones, and the one that is asked for.
    pub(super) fn codes(&self) -> Vec<&str> {
        let is_other = self.status.parse::<u32>().is_ok() && !CODES.contains(&self.status.as_str());
        CODES.into_iter().chain(is_other.then_some(self.status.as_str())).collect()
    }

    /// What such a code means.
    pub(super) fn meaning(&self, code: &str, language: &Language) -> String {
        code.parse().map_or_else(|_| String::new(), |code| words::code(code, *language))
    }

    /// Whether anything is filtered.
    pub(super) fn is_filtered(&self) -> bool {
        *self != Self { by: self.by.clone(), older: self.older.clone(), newer: self.newer.clone(), ..Self::default() }
    }

    /// The query of a link to the same with one thing changed, from the newest on.
    pub(super) fn query(&self, name: &str, value: &str) -> String {
        query_of(self, &[("older", ""), ("newer", ""), (name, value)])
    }

    /// The query of a link to whose requests were refused for one reason.
    pub(super) fn query_of_refusal(&self, pairs: &[(&str, &str)]) -> String {
        let cleared = [("older", ""), ("newer", "")];
        let changed: Vec<(&str, &str)> = cleared.iter().chain(pairs).copied().collect();
        query_of(self, &changed)
    }

    /// The query of a link to the calls of one group of the sums, which know no status.
    pub(super) fn query_of_group(&self, pairs: &[(&str, &str)]) -> String {
        let cleared = [("older", ""), ("newer", ""), ("by", ""), ("status", "")];
        let changed: Vec<(&str, &str)> = cleared.iter().chain(pairs).copied().collect();
        query_of(self, &changed)
    }
}

/// What sums are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grouping {
    Charged(By),
    /// Calls that were not let in, by reason.
    Refusals,
}

/// The groupings of the form: name in the address, English, Chinese.
pub(super) const GROUPINGS: [(&str, &str, &str); 6] = [
    ("day", "Day", "日期"),
    ("model", "Model", "模型"),
    ("key", "Key", "密钥"),
    ("user", "End user", "终端用户"),
    ("tenant", "Tenant", "客户"),
    ("refusal", "Refusals", "被拒请求"),
];

/// With which codes calls end that were let in.
const CODES: [&str; 7] = ["40005", "49900", "50000", "50001", "50200", "50300", "50400"];

impl Grouping {
    /// The grouping of this name.
    pub(super) fn named(name: &str, zone: Tz) -> Option<Self> {
        match name {
            "day" => Some(Self::Charged(By::Day(zone))),
            "model" => Some(Self::Charged(By::Model)),
            "key" => Some(Self::Charged(By::Key)),
            "user" => Some(Self::Charged(By::User)),
            "tenant" => Some(Self::Charged(By::Tenant)),
            "refusal" => Some(Self::Refusals),
            _ => None,
        }
    }
}

/// Reads the id, or the whole name, of a tenant.
pub(in crate::panel) fn read_tenant(
    connection: &mut Connection,
    text: &str,
    language: Language,
    wrongs: &mut Wrongs,
) -> Result<Option<TenantId>, DbError> {
    let Some(text) = given(text) else { return Ok(None) };
    let found = choice::filtered(connection, text)?;
    if found.is_none() {
        wrongs.add("tenant", language.say("No tenant has this id or name.", "没有该编号或名称的客户。"));
    }
    Ok(found)
}

/// Reads where a period begins and ends; each may be left open.
pub(in crate::panel) fn read_period(
    from: &str,
    to: &str,
    language: Language,
    zone: Tz,
    wrongs: &mut Wrongs,
) -> (Option<Timestamp>, Option<Timestamp>) {
    let mut read = |field, text| {
        let text = given(text)?;
        let moment = moment::read(text, zone);
        if moment.is_none() {
            wrongs.add(field, language.say(moment::ALLOWED.0, moment::ALLOWED.1));
        }
        moment
    };
    let (from, to) = (read("from", from), read("to", to));
    if from.zip(to).is_some_and(|(from, to)| from >= to) {
        wrongs.add("to", language.say("The end must lie after the beginning.", "结束时间必须晚于开始时间。"));
    }
    (from, to)
}

fn given(text: &str) -> Option<&str> {
    let text = text.trim();
    (!text.is_empty()).then_some(text)
}
