//! The form of a new key: every policy that there is, as it is typed and as it is meant.

use serde::Deserialize;
use shared::clock::Timestamp;
use shared::config::Cidr;
use shared::key::{Console, KeyError, KeyPolicy, LONGEST_NAME, MOST_NETWORKS};
use shared::limits::KeyLimits;
use shared::values;

use crate::frame::moment;
use crate::frame::page::Page;
use crate::frame::wrongs::Wrongs;

/// What the form sends.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::panel) struct Fields {
    /// The id of the key that it will make.
    pub(super) once: String,
    /// The tenant's id, where it is known.
    pub(super) tenant: String,
    /// The tenant's name, where somebody types it.
    pub(super) tenant_name: String,
    pub(super) name: String,
    pub(super) expires: String,
    pub(super) models: String,
    pub(super) console: String,
    pub(super) ips: String,
    pub(super) rpm: String,
    pub(super) tpm: String,
    pub(super) concurrency: String,
}

impl Fields {
    /// The policy that is meant, if a key may have it. Every field is read, so that all that is wrong is said at once.
    ///
    /// # Errors
    /// What no field is to blame for.
    pub(super) fn policy(
        &self,
        page: &Page,
        now: Timestamp,
        wrongs: &mut Wrongs,
    ) -> Result<Option<KeyPolicy>, KeyError> {
        let say = |english, chinese| page.say(english, chinese);
        let zone = page.zone();
        let words = say(
            "Give a time from now such as 30d or 12h, a day such as 2026-12-31, or a moment such as 2026-12-31T18:00:00+08:00.",
            "请填写时长（如 30d、12h）、日期（如 2026-12-31）或时刻（如 2026-12-31T18:00:00+08:00）。",
        );
        let expires_at = wrongs.read_any("expires", &self.expires, words, |text| match values::when(text) {
            Ok(when) => Ok(when.from(now)),
            Err(_) => moment::read(text, zone).ok_or(()),
        });
        let words = say(
            "Give names of models with commas between; each has at most 100 characters.",
            "请填写模型名称，以逗号分隔，每个不超过 100 个字符。",
        );
        let models = wrongs.read_any("models", &self.models, words, |text| list(text, values::model));
        let words = say("Choose one of the three.", "请选择其中一项。");
        let console = wrongs.read("console", &self.console, words, str::parse::<Console>);
        let words = say(
            "Give addresses such as 203.0.113.7 and networks such as 203.0.113.0/24, with commas between.",
            "请填写地址（如 203.0.113.7）或网段（如 203.0.113.0/24），以逗号分隔。",
        );
        let networks = wrongs.read_any("ips", &self.ips, words, |text| list::<Cidr, _>(text, values::network));
        let words = say(
            "Give a whole number from 1 to 1000000000, or nothing for no limit.",
            "请填写 1 至 1000000000 的整数；留空表示不限。",
        );
        let rpm = wrongs.read_any("rpm", &self.rpm, words, values::rate);
        let tpm = wrongs.read_any("tpm", &self.tpm, words, values::rate);
        let words = say(
            "Give a whole number from 1 to 100000, or nothing for no limit.",
            "请填写 1 至 100000 的整数；留空表示不限。",
        );
        let concurrency = wrongs.read_any("concurrency", &self.concurrency, words, values::concurrency);
        let policy = KeyPolicy {
            name: self.name.trim().to_owned(),
            models: models.filter(|models| !models.is_empty()),
            console: console.unwrap_or_default(),
            expires_at,
            limits: KeyLimits { rpm, tpm, concurrency },
            networks: networks.filter(|networks| !networks.is_empty()),
        };
        if let Err(error) = policy.check(now) {
            refuse(page, wrongs, error)?;
        }
        Ok(wrongs.is_empty().then_some(policy))
    }
}

/// Says why a policy cannot be a key's, beside the field that is wrong.
fn refuse(page: &Page, wrongs: &mut Wrongs, error: KeyError) -> Result<(), KeyError> {
    let (field, english, chinese) = match error {
        KeyError::BadName => (
            "name",
            format!("A name has at most {LONGEST_NAME} characters and no control characters."),
            format!("名称不超过 {LONGEST_NAME} 个字符，不含控制字符。"),
        ),
        KeyError::ExpiresInThePast => (
            "expires",
            "This lies in the past: the key would never work.".to_owned(),
            "该时间已过，密钥将无法使用。".to_owned(),
        ),
        KeyError::TooManyNetworks => (
            "ips",
            format!("A key has at most {MOST_NETWORKS} addresses and networks."),
            format!("每个密钥最多 {MOST_NETWORKS} 个地址或网段。"),
        ),
        other => return Err(other),
    };
    wrongs.add(field, page.say(&english, &chinese));
    Ok(())
}

/// Reads a list with commas or ends of lines between; the error is that of the first item that cannot be read.
fn list<T, E>(text: &str, read: impl Fn(&str) -> Result<T, E>) -> Result<Vec<T>, E> {
    let items = text.split([',', '，', '\r', '\n']).map(str::trim).filter(|item| !item.is_empty());
    items.map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_may_be_typed_in_many_ways() {
        assert_eq!(list("1, 2\r\n3，4,", str::parse::<u8>), Ok(vec![1, 2, 3, 4]));
        assert_eq!(list(" ,\n", str::parse::<u8>), Ok(vec![]));
        assert!(list("1,x", str::parse::<u8>).is_err());
    }
}
