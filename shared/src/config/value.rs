//! How single values are read: from text, as a variable gives it, or from what TOML has for it. Whatever
//! cannot be read is refused in words that say what is allowed ("must be ...").

use std::net::SocketAddr;
use std::path::PathBuf;

use chrono_tz::Tz;
use figment::value::{Num, Value};
use secrecy::SecretString;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::base_url::BaseUrl;
use super::cidr::Cidr;
use super::database_url::DatabaseUrl;
use crate::money::Amount;

/// Something that a setting may be.
pub(super) trait Setting: Sized {
    /// Reads it; the error says what is allowed, without the text.
    fn from_text(text: &str) -> Result<Self, String>;
}

/// Reads one value.
pub(super) fn one<'de, D: Deserializer<'de>, T: Setting>(deserializer: D) -> Result<T, D::Error> {
    parsed(deserializer, T::from_text)
}

/// Reads one value with a rule of its own.
pub(super) fn parsed<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, D::Error> {
    let value = raw(deserializer)?;
    let text = scalar(&value).ok_or_else(|| D::Error::custom("must be a single value"))?;
    read(&text).map_err(D::Error::custom)
}

/// Reads one value that may be unset, which is the empty text.
pub(super) fn optional<'de, D: Deserializer<'de>, T: Setting>(deserializer: D) -> Result<Option<T>, D::Error> {
    parsed(deserializer, |text| if text.is_empty() { Ok(None) } else { T::from_text(text).map(Some) })
}

/// Reads a list: text with commas, or an array. Empty items are left out.
pub(super) fn list<'de, D: Deserializer<'de>, T: Setting>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let value = raw(deserializer)?;
    let text = joined(&value).ok_or_else(|| D::Error::custom("must be a list: text with commas, or an array"))?;
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(T::from_text).collect::<Result<_, _>>().map_err(D::Error::custom)
}

/// Reads a list that may not be left empty.
pub(super) fn some_list<'de, D: Deserializer<'de>, T: Setting>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let items = list(deserializer)?;
    if items.is_empty() {
        return Err(D::Error::custom("must name at least one"));
    }
    Ok(items)
}

/// Reads a whole number from `MIN` to `MAX`, both allowed.
pub(super) fn between<'de, D, T, const MIN: i64, const MAX: i64>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i64>,
{
    parsed(deserializer, |text| {
        let number: i64 = text.parse().map_err(|_| format!("must be a whole number, {MIN} to {MAX}"))?;
        let allowed = Some(number).filter(|number| (MIN..=MAX).contains(number));
        allowed.and_then(|number| T::try_from(number).ok()).ok_or_else(|| format!("must be {MIN} to {MAX}"))
    })
}

/// Reads a secret. It takes whatever is there, so that no message about its form can quote it; an array
/// (`["new", "old"]`) becomes text with commas.
pub(super) fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    let text = joined(&raw(deserializer)?).unwrap_or_default();
    Ok((!text.is_empty()).then(|| text.into()))
}

/// Reads an amount that is not negative. A number with a point is refused even where TOML has one, since it
/// would be a binary fraction and money never is.
pub(super) fn amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Amount, D::Error> {
    let allowed = "must be an amount in quotes with at most 9 places, such as \"10.00\"";
    let value = raw(deserializer)?;
    if let Value::Num(_, Num::F32(_) | Num::F64(_)) = value {
        return Err(D::Error::custom(allowed));
    }
    let text = scalar(&value).filter(|text| !text.starts_with('-')).ok_or_else(|| D::Error::custom(allowed))?;
    text.parse().map_err(|_| D::Error::custom(allowed))
}

/// A value in a message: one line, not too long.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Dict(..) => "a section".to_owned(),
        Value::Array(_, items) => {
            let items: Vec<String> = items.iter().map(shown).collect();
            one_line(&format!("[{}]", items.join(", ")))
        }
        _ => one_line(&scalar(value).unwrap_or_default()),
    }
}

/// Text in a message: without line breaks, and cut where it gets too long.
pub(super) fn one_line(text: &str) -> String {
    const LONGEST: usize = 200;
    let mut line: String = text.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() {
        line.push_str("...");
    }
    line
}

/// figment's own value has a method of the same name.
fn raw<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    <Value as Deserialize>::deserialize(deserializer)
}

/// The text of a single value; `None` for arrays and tables.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(_, text) => Some(text.trim().to_owned()),
        Value::Char(_, c) => Some(c.to_string()),
        Value::Bool(_, truth) => Some(truth.to_string()),
        Value::Num(_, number) => {
            let whole = number.to_i128().map(|number| number.to_string());
            let unsigned = || number.to_u128().map(|number| number.to_string());
            // Debug keeps the ".0" that the person wrote.
            whole.or_else(unsigned).or_else(|| number.to_f64().map(|number| format!("{number:?}")))
        }
        Value::Empty(..) | Value::Dict(..) | Value::Array(..) => None,
    }
}

/// The text of a single value, or of an array's items with commas between; `None` for tables.
fn joined(value: &Value) -> Option<String> {
    let Value::Array(_, items) = value else {
        return scalar(value);
    };
    let items: Option<Vec<String>> = items.iter().map(scalar).collect();
    Some(items?.join(","))
}

impl Setting for String {
    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("must not be empty".to_owned());
        }
        Ok(text.to_owned())
    }
}

impl Setting for PathBuf {
    fn from_text(text: &str) -> Result<Self, String> {
        String::from_text(text).map(Self::from)
    }
}

impl Setting for SocketAddr {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "must be an IP address and a port, such as 127.0.0.1:8080".to_owned())
    }
}

impl Setting for Tz {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "must be an IANA time zone, such as Asia/Shanghai or UTC".to_owned())
    }
}

impl Setting for Cidr {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error| format!("must be addresses and networks with commas between; {error}"))
    }
}

impl Setting for BaseUrl {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: super::base_url::NotABaseUrl| error.to_string())
    }
}

impl Setting for DatabaseUrl {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: super::database_url::NotADatabaseUrl| error.to_string())
    }
}
