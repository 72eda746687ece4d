//! The audit log: who changed what, when, from where, and how it was before and after. It is written in the transaction of the change
//! itself, so neither is there without the other, and nothing in it is ever altered.

use std::fmt;
use std::net::IpAddr;

use diesel::prelude::*;

use crate::clock::Timestamp;
use crate::db::schema::audit_log::dsl;
use crate::db::{Connection, DbError, LONGEST_PART};
use crate::export::{Export, Listed, Piece};
use crate::id::{StaffId, TenantId};
use crate::page::{Cursor, Page, and_one_more};
use crate::secret_key::KeyId;

/// Who does something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A person of the service, in the panel.
    Staff {
        /// Whose account.
        id: StaffId,
        /// The account's address at that time.
        email: String,
    },
    /// Whoever holds this key, in the console.
    Key(KeyId),
    /// Whoever may run the program on its machine.
    CommandLine,
    /// The service by itself.
    Service,
}

/// Who, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Who does it.
    pub actor: Actor,
    /// The client's address; `None` from the machine itself.
    pub address: Option<IpAddr>,
}

impl Origin {
    /// A command on the machine itself.
    pub const COMMAND_LINE: Self = Self { actor: Actor::CommandLine, address: None };
    /// The service by itself.
    pub const SERVICE: Self = Self { actor: Actor::Service, address: None };
}

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry<'a> {
    /// What was done, as `key.revoke`.
    pub action: &'static str,
    /// Whose affairs it is about.
    pub tenant: Option<TenantId>,
    /// What was changed, by its id or name.
    pub subject: &'a str,
    /// What it was like, as a JSON object without any secret; `None` where there was nothing.
    pub before: Option<serde_json::Value>,
    /// What it is like now, likewise; `None` where there is nothing.
    pub after: Option<serde_json::Value>,
}

/// Writes a change down. Call it in the write transaction of the change.
///
/// # Errors
/// [`DbError`].
pub fn record(connection: &mut Connection, origin: &Origin, entry: &Entry<'_>, now: Timestamp) -> Result<(), DbError> {
    // Writes of this kind go one at a time, so the numbers are in the order of the commits.
    let newest: Option<i64> = dsl::audit_log.select(diesel::dsl::max(dsl::id)).first(connection)?;
    let staff = match &origin.actor {
        Actor::Staff { id, .. } => Some(id.0),
        _ => None,
    };
    diesel::insert_into(dsl::audit_log)
        .values((
            dsl::id.eq(newest.unwrap_or(0) + 1),
            dsl::at.eq(now.0),
            dsl::actor_kind.eq(origin.actor.kind()),
            dsl::actor.eq(origin.actor.to_string()),
            dsl::staff.eq(staff),
            dsl::address.eq(origin.address.map(|address| address.to_string())),
            dsl::action.eq(entry.action),
            dsl::tenant.eq(entry.tenant.map(|tenant| tenant.0)),
            dsl::subject.eq(entry.subject),
            dsl::before.eq(entry.before.as_ref().map(ToString::to_string)),
            dsl::after.eq(entry.after.as_ref().map(ToString::to_string)),
        ))
        .execute(connection)?;
    Ok(())
}

/// An entry as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its number, in the order in which changes were committed.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// Who, and from where.
    pub origin: Origin,
    /// What was done.
    pub action: String,
    /// Whose affairs it is about.
    pub tenant: Option<TenantId>,
    /// What was changed.
    pub subject: String,
    /// What it was like.
    pub before: Option<serde_json::Value>,
    /// What it is like since then.
    pub after: Option<serde_json::Value>,
}

/// Which entries; the default is all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// By whom: an e-mail address, a key's id, or what [`Actor`] shows otherwise.
    pub actor: Option<String>,
    /// Actions that begin like this: `key.` for all that was done to keys.
    pub action: Option<String>,
    /// About whose affairs.
    pub tenant: Option<TenantId>,
    /// About what, by its whole id or name.
    pub subject: Option<String>,
    /// From then on.
    pub from: Option<Timestamp>,
    /// Before then.
    pub to: Option<Timestamp>,
}

/// At most `limit` entries at the `cursor`, which has their numbers, the newest first.
///
/// # Errors
/// [`DbError`].
pub fn page(
    connection: &mut Connection,
    filter: &Filter,
    cursor: Cursor<i64>,
    limit: usize,
) -> Result<Page<Record>, DbError> {
    let mut query = dsl::audit_log.select(Row::as_select()).into_boxed();
    query = match cursor {
        Cursor::First => query.order(dsl::id.desc()),
        Cursor::Behind(id) => query.filter(dsl::id.lt(id)).order(dsl::id.desc()),
        Cursor::Before(id) => query.filter(dsl::id.gt(id)).order(dsl::id),
    };
    if let Some(actor) = &filter.actor {
        query = query.filter(dsl::actor.eq(actor));
    }
    // An engine takes no pattern of any length, and no action is so long.
    if filter.action.as_ref().is_some_and(|prefix| prefix.len() > LONGEST_PART) {
        return Ok(Page::empty());
    }
    if let Some(prefix) = &filter.action {
        query = query.filter(dsl::action.like(beginning_with(prefix)).escape(ESCAPE));
    }
    if let Some(tenant) = filter.tenant {
        query = query.filter(dsl::tenant.eq(tenant.0));
    }
    if let Some(subject) = &filter.subject {
        query = query.filter(dsl::subject.eq(subject));
    }
    if let Some(from) = filter.from {
        query = query.filter(dsl::at.ge(from.0));
    }
    if let Some(to) = filter.to {
        query = query.filter(dsl::at.lt(to.0));
    }
    let rows: Vec<Row> = query.limit(and_one_more(limit)).load(connection)?;
    Page::of(rows, &cursor, limit).try_map(Row::into_record)
}

/// All entries of a filter, the newest first.
pub type AuditExport = Export<Filter>;

impl Listed for Filter {
    type Row = Record;
    type Key = i64;

    fn rows(&self, connection: &mut Connection, cursor: Cursor<i64>, limit: usize) -> Result<Piece<Self>, DbError> {
        Ok(page(connection, self, cursor, limit)?.with_last(|record| record.id))
    }
}

const ESCAPE: char = '!';

/// The pattern of texts that begin with `prefix`, whatever is in it.
fn beginning_with(prefix: &str) -> String {
    let mut pattern = String::with_capacity(prefix.len() + 1);
    for character in prefix.chars() {
        if matches!(character, '%' | '_' | ESCAPE) {
            pattern.push(ESCAPE);
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

impl Actor {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Staff { .. } => "staff",
            Self::Key(_) => "key",
            Self::CommandLine => "command_line",
            Self::Service => "service",
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Staff { email, .. } => formatter.pad(email),
            Self::Key(id) => formatter.pad(id.as_str()),
            Self::CommandLine => formatter.pad("command line"),
            Self::Service => formatter.pad("service"),
        }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = crate::db::schema::audit_log)]
struct Row {
    id: i64,
    at: i64,
    actor_kind: String,
    actor: String,
    staff: Option<i64>,
    address: Option<String>,
    action: String,
    tenant: Option<i64>,
    subject: String,
    before: Option<String>,
    after: Option<String>,
}

impl Row {
    fn into_record(self) -> Result<Record, DbError> {
        let id = self.id;
        let corrupt = |what: &str| DbError::Corrupt(format!("{what} of entry {id} of the audit log"));
        let actor = match (self.actor_kind.as_str(), self.staff) {
            ("staff", Some(staff)) => Actor::Staff { id: StaffId(staff), email: self.actor },
            ("key", None) => Actor::Key(self.actor.parse().map_err(|_| corrupt("actor"))?),
            ("command_line", None) => Actor::CommandLine,
            ("service", None) => Actor::Service,
            _ => return Err(corrupt("actor")),
        };
        let address = self.address.map(|address| address.parse().map_err(|_| corrupt("address"))).transpose()?;
        let json = |text: Option<String>, what: &str| {
            text.map(|text| serde_json::from_str(&text).map_err(|_| corrupt(what))).transpose()
        };
        Ok(Record {
            id,
            at: Timestamp(self.at),
            origin: Origin { actor, address },
            action: self.action,
            tenant: self.tenant.map(TenantId),
            subject: self.subject,
            before: json(self.before, "before")?,
            after: json(self.after, "after")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_means_itself() {
        assert_eq!(beginning_with("key."), "key.%");
        assert_eq!(beginning_with("top_up%!"), "top!_up!%!!%");
        assert_eq!(beginning_with(""), "%");
    }
}
