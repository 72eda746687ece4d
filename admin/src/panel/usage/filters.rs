//! Which calls are shown: what the page's form and the links in it say.

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use shared::calls::CallFilter;
use shared::db::{Connection, DbError};
use shared::rollups::By;

use crate::frame::language::Language;
use crate::frame::paging::query_of;
use crate::frame::words;
use crate::frame::wrongs::Wrongs;
use crate::panel::list_filters::{given, read_period, read_tenant};

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
}

/// What was understood of it.
#[derive(Debug, Default)]
pub(super) struct Understood {
    pub(super) filter: CallFilter,
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
        Ok(Understood { filter, wrongs })
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
        *self != Self { by: self.by.clone(), ..Self::default() }
    }

    /// The query of a link to the same with one thing changed, from the newest on.
    pub(super) fn query(&self, name: &str, value: &str) -> String {
        query_of(self, &[(name, value)])
    }

    /// The query of a link to whose requests were refused for one reason.
    pub(super) fn query_of_refusal(&self, pairs: &[(&str, &str)]) -> String {
        query_of(self, pairs)
    }

    /// The query of a link to the calls of one group of the sums, which know no status.
    pub(super) fn query_of_group(&self, pairs: &[(&str, &str)]) -> String {
        let cleared = [("by", ""), ("status", "")];
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
