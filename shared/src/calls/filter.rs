//! Which calls somebody asks for, and by which index they are found.

use std::fmt;
use std::str::FromStr;

use crate::clock::Timestamp;
use crate::db::{Composed, Connection, Value};
use crate::id::{RequestId, TenantId};
use crate::secret_key::KeyId;

/// Which calls. Each condition that is there has to be met.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallFilter {
    /// Of one tenant.
    pub tenant: Option<TenantId>,
    /// Of one key.
    pub key: Option<KeyId>,
    /// Of one model, by its public name.
    pub model: Option<String>,
    /// Of one end user; empty: that named none.
    pub end_user: Option<String>,
    /// That ended so.
    pub status: Option<StatusFilter>,
    /// Received at this moment or later.
    pub from: Option<Timestamp>,
    /// Received before this moment.
    pub to: Option<Timestamp>,
}

/// How calls ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusFilter {
    /// With the whole answer.
    Answered,
    /// In any other way.
    Failed,
    /// With this code: see [`super::Status`]. It is not 0.
    Code(u32),
}

/// Words of a person that are no status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a status is answered, failed, or a code such as 50200")]
pub struct NotAStatus;

impl FromStr for StatusFilter {
    type Err = NotAStatus;

    fn from_str(text: &str) -> Result<Self, NotAStatus> {
        match text {
            "answered" => Ok(Self::Answered),
            "failed" => Ok(Self::Failed),
            code if code.len() == 5 => code.parse().ok().filter(|code| *code != 0).map(Self::Code).ok_or(NotAStatus),
            _ => Err(NotAStatus),
        }
    }
}

impl fmt::Display for StatusFilter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered => formatter.write_str("answered"),
            Self::Failed => formatter.write_str("failed"),
            Self::Code(code) => fmt::Display::fmt(code, formatter),
        }
    }
}

/// The index that finds the calls of a filter: in the order of their ids, with as few others between them as can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Path {
    /// All, one after the other.
    All,
    Tenant,
    Key,
    EndUser,
    WithoutUser,
    Failed,
    TenantFailed,
}

impl CallFilter {
    /// Whether a call can be like this: no text of ours has U+0000 in it, and PostgreSQL would not even be asked.
    pub(super) fn is_possible(&self) -> bool {
        [&self.model, &self.end_user].into_iter().flatten().all(|text| !text.contains('\0'))
    }

    pub(super) fn path(&self) -> Path {
        let is_failed = matches!(self.status, Some(StatusFilter::Failed | StatusFilter::Code(_)));
        if self.end_user.as_deref().is_some_and(|end_user| !end_user.is_empty()) {
            Path::EndUser
        } else if is_failed && self.tenant.is_some() {
            Path::TenantFailed
        } else if is_failed {
            // Few calls fail, and many name no end user.
            Path::Failed
        } else if self.end_user.is_some() {
            Path::WithoutUser
        } else if self.key.is_some() {
            Path::Key
        } else if self.tenant.is_some() {
            Path::Tenant
        } else {
            Path::All
        }
    }

    /// The ids that calls of this time have: from the first on and before the second.
    pub(super) fn ids(&self) -> (RequestId, RequestId) {
        let last = RequestId::floor(Timestamp(i64::MAX));
        (self.from.map_or_else(RequestId::zero, RequestId::floor), self.to.map_or(last, RequestId::floor))
    }

    /// Adds `FROM calls WHERE` with all conditions but those of time, and the index where the engine would choose by guess.
    pub(super) fn select_from<'a>(&'a self, statement: &mut Composed<'a>, connection: &Connection) {
        statement.and(" FROM calls ", []);
        // PostgreSQL knows how many rows each would find. SQLite does not, and takes what is said.
        if matches!(connection, Connection::Sqlite(_)) {
            let index = match self.path() {
                Path::All => "NOT INDEXED ",
                Path::Tenant => "INDEXED BY calls_tenant ",
                Path::Key => "INDEXED BY calls_key ",
                Path::EndUser => "INDEXED BY calls_end_user ",
                Path::WithoutUser => "INDEXED BY calls_without_user ",
                Path::Failed => "INDEXED BY calls_failed ",
                Path::TenantFailed => "INDEXED BY calls_tenant_failed ",
            };
            statement.and(index, []);
        }
        statement.and("WHERE TRUE", []);
        if let Some(tenant) = self.tenant {
            statement.and(" AND tenant = ?", [Value::Int(tenant.0)]);
        }
        if let Some(key) = &self.key {
            statement.and(" AND key_id = ?", [Value::Text(key.as_str())]);
        }
        if let Some(model) = &self.model {
            statement.and(" AND model = ?", [Value::Text(model)]);
        }
        match self.end_user.as_deref() {
            None => {}
            Some("") => {
                statement.and(" AND end_user IS NULL", []);
            }
            Some(end_user) => {
                statement.and(" AND end_user = ?", [Value::Text(end_user)]);
            }
        }
        match self.status {
            None => {}
            Some(StatusFilter::Answered) => {
                statement.and(" AND status = 0", []);
            }
            Some(StatusFilter::Failed) => {
                statement.and(" AND status <> 0", []);
            }
            Some(StatusFilter::Code(code)) => {
                statement.and(" AND status <> 0 AND status = ?", [Value::Int(i64::from(code))]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("answered", Ok(StatusFilter::Answered))]
    #[case("failed", Ok(StatusFilter::Failed))]
    #[case("50200", Ok(StatusFilter::Code(50_200)))]
    #[case("00000", Err(NotAStatus))]
    #[case("502", Err(NotAStatus))]
    #[case("", Err(NotAStatus))]
    fn a_status_is_read_as_it_is_written(#[case] text: &str, #[case] expected: Result<StatusFilter, NotAStatus>) {
        assert_eq!(text.parse(), expected);
        if let Ok(status) = expected {
            assert_eq!(status.to_string(), text);
        }
    }
}
