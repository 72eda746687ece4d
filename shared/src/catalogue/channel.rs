//! Channels: the ways to providers. A provider's key is kept only sealed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use diesel::prelude::*;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::clock::Timestamp;
use crate::db::schema::{channel_models, channels};
use crate::db::{Connection, DbError};
use crate::epoch;
use crate::seal::{SealContext, SealError, Sealer};

/// The models that a channel serves: public name to the provider's name.
pub type ServedModels = BTreeMap<String, String>;

/// How a channel's provider is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelKind {
    /// Any API like OpenAI's.
    OpenAi,
    /// Built in: answers with the prompt.
    Echo,
}

impl ChannelKind {
    /// The word that the database and the command line use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Echo => "echo",
        }
    }
}

impl fmt::Display for ChannelKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for ChannelKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::OpenAi, Self::Echo]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| "must be openai or echo".to_owned())
    }
}

/// A channel to be added. Its base URL and models were checked by whoever knows the kind.
#[derive(Debug)]
pub struct NewChannel {
    /// A unique name for people.
    pub name: String,
    /// How it is spoken to.
    pub kind: ChannelKind,
    /// Where it is.
    pub base_url: String,
    /// The provider's key.
    pub api_key: Option<SecretString>,
    /// Public name to the provider's name.
    pub models: ServedModels,
    /// Lower is tried first: 0 to 1000.
    pub priority: i64,
    /// Among equals, how often: 1 to 1000.
    pub weight: i64,
}

/// A channel as people see it; never with the provider's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Channel {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// How it is spoken to.
    #[serde(rename = "type")]
    pub kind: ChannelKind,
    /// Where it is.
    pub base_url: String,
    /// Whether a provider's key is kept.
    pub has_api_key: bool,
    /// Public name to the provider's name.
    pub models: ServedModels,
    /// Lower is tried first.
    pub priority: i64,
    /// Among equals, how often.
    pub weight: i64,
    /// Whether it is used.
    pub enabled: bool,
}

/// A channel ready to be called, with its key opened. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct OpenChannel {
    /// Its id.
    pub id: i64,
    /// Its name, for the log.
    pub name: String,
    /// How it is spoken to.
    pub kind: ChannelKind,
    /// Where it is.
    pub base_url: String,
    /// The provider's key.
    pub api_key: Option<SecretString>,
    /// Lower is tried first.
    pub priority: i64,
    /// Among equals, how often.
    pub weight: i64,
}

/// Why a channel could not be added or changed.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// Another channel has this name.
    #[error("a channel named \"{0}\" exists already")]
    NameTaken(String),
    /// There is no such channel.
    #[error("no channel is named \"{0}\": see `xiaoyi channel list`")]
    Unknown(String),
    /// A value is out of range.
    #[error(transparent)]
    Invalid(#[from] BadChannel),
    /// The provider's key could not be sealed.
    #[error("the provider's key could not be sealed: {0}")]
    Seal(#[from] SealError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
}

impl From<diesel::result::Error> for ChannelError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Adds a channel, enabled. Call it in a write transaction.
///
/// # Errors
/// [`ChannelError`].
pub fn add(
    connection: &mut Connection,
    sealer: &Sealer,
    new: &NewChannel,
    now: Timestamp,
) -> Result<Channel, ChannelError> {
    check(new)?;
    let taken: i64 = channels::table.filter(channels::name.eq(&new.name)).count().get_result(connection)?;
    if taken > 0 {
        return Err(ChannelError::NameTaken(new.name.clone()));
    }
    let newest: Option<i64> = channels::table.select(diesel::dsl::max(channels::id)).first(connection)?;
    let id = newest.unwrap_or(0) + 1;
    let sealed_key = match &new.api_key {
        Some(api_key) => {
            Some(sealer.seal(api_key.expose_secret().as_bytes(), &context(&id.to_string(), &new.base_url))?)
        }
        None => None,
    };
    diesel::insert_into(channels::table)
        .values((
            channels::id.eq(id),
            channels::name.eq(&new.name),
            channels::kind.eq(new.kind.as_str()),
            channels::base_url.eq(&new.base_url),
            channels::sealed_key.eq(sealed_key),
            channels::priority.eq(new.priority),
            channels::weight.eq(new.weight),
            channels::enabled.eq(true),
            channels::created_at.eq(now.0),
        ))
        .execute(connection)?;
    for (model, upstream) in &new.models {
        diesel::insert_into(channel_models::table)
            .values((
                channel_models::channel.eq(id),
                channel_models::model.eq(model),
                channel_models::upstream.eq(upstream),
            ))
            .execute(connection)?;
    }
    epoch::advance(connection)?;
    named(connection, &new.name)
}

fn check(new: &NewChannel) -> Result<(), BadChannel> {
    let is_name = |text: &str, most: usize| {
        !text.trim().is_empty() && text.chars().count() <= most && !text.chars().any(char::is_control)
    };
    // The page of a channel has its name in the address, where dots alone would mean another page.
    if !is_name(&new.name, 100) || matches!(new.name.as_str(), "." | "..") {
        return Err(BadChannel::Name);
    }
    if new.models.is_empty() {
        return Err(BadChannel::NoModels);
    }
    if !new.models.iter().all(|(model, upstream)| is_name(model, 100) && is_name(upstream, 200)) {
        return Err(BadChannel::ModelName);
    }
    if !(0..=1000).contains(&new.priority) || !(1..=1000).contains(&new.weight) {
        return Err(BadChannel::Order);
    }
    Ok(())
}

/// Why the values of a channel cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadChannel {
    /// The name is empty, too long, or has control characters.
    #[error("a channel's name has 1 to 100 characters and no control characters")]
    Name,
    /// It serves nothing.
    #[error("a channel serves at least one model: public=upstream,...")]
    NoModels,
    /// The name of a model is empty or too long.
    #[error("a model's public name has 1 to 100 characters, the provider's name 1 to 200")]
    ModelName,
    /// Priority or weight is out of range.
    #[error("the priority is 0 to 1000 and the weight 1 to 1000")]
    Order,
}

/// All channels, by id.
///
/// # Errors
/// [`DbError`].
pub fn list(connection: &mut Connection) -> Result<Vec<Channel>, DbError> {
    let rows: Vec<Row> = channels::table.order(channels::id).select(Row::as_select()).load(connection)?;
    rows.into_iter().map(|row| row.into_channel(connection)).collect()
}

/// The channel of this name.
///
/// # Errors
/// [`ChannelError::Unknown`] or the database's.
pub fn named(connection: &mut Connection, name: &str) -> Result<Channel, ChannelError> {
    let row: Option<Row> =
        channels::table.filter(channels::name.eq(name)).select(Row::as_select()).first(connection).optional()?;
    let row = row.ok_or_else(|| ChannelError::Unknown(name.to_owned()))?;
    Ok(row.into_channel(connection)?)
}

/// Enables or disables a channel. Call it in a write transaction.
///
/// # Errors
/// [`ChannelError::Unknown`] or the database's.
pub fn set_enabled(connection: &mut Connection, name: &str, enabled: bool) -> Result<Channel, ChannelError> {
    let channel = named(connection, name)?;
    diesel::update(channels::table.find(channel.id)).set(channels::enabled.eq(enabled)).execute(connection)?;
    epoch::advance(connection)?;
    Ok(Channel { enabled, ..channel })
}

/// The models that nothing would serve any more if this channel were disabled.
///
/// # Errors
/// [`DbError`].
pub fn served_by_it_alone(connection: &mut Connection, channel: &Channel) -> Result<Vec<String>, DbError> {
    let others = list(connection)?.into_iter().filter(|other| other.enabled && other.id != channel.id);
    let elsewhere: BTreeSet<String> = others.flat_map(|other| other.models.into_keys()).collect();
    Ok(channel.models.keys().filter(|model| channel.enabled && !elsewhere.contains(*model)).cloned().collect())
}

/// The channel of this name, ready to be called, with the models that it serves.
///
/// # Errors
/// [`ChannelError`]; also when its key cannot be opened.
pub fn open(
    connection: &mut Connection,
    sealer: &Sealer,
    name: &str,
) -> Result<(OpenChannel, ServedModels), ChannelError> {
    let row: Option<Row> =
        channels::table.filter(channels::name.eq(name)).select(Row::as_select()).first(connection).optional()?;
    let row = row.ok_or_else(|| ChannelError::Unknown(name.to_owned()))?;
    let models = models_of(connection, row.id)?;
    Ok((row.open(sealer)?, models))
}

/// Every enabled channel, ready to be called, with the models that it serves; one whose key cannot be opened is logged and left out.
///
/// # Errors
/// [`DbError`].
pub(super) fn open_enabled(
    connection: &mut Connection,
    sealer: &Sealer,
) -> Result<Vec<(Arc<OpenChannel>, ServedModels)>, DbError> {
    let rows: Vec<Row> = channels::table
        .filter(channels::enabled.eq(true))
        .order(channels::id)
        .select(Row::as_select())
        .load(connection)?;
    let mut channels = Vec::with_capacity(rows.len());
    for row in rows {
        let models = models_of(connection, row.id)?;
        match row.open(sealer) {
            Ok(channel) => channels.push((Arc::new(channel), models)),
            // The others go on; prices and revocations must not wait for this one.
            Err(error) => tracing::error!(%error, "a channel is left out"),
        }
    }
    Ok(channels)
}

/// Seals every provider's key anew under the sealer's first secret, and gives how many there were. Call it in a write transaction.
///
/// # Errors
/// [`ChannelError::Seal`] or the database's.
pub fn reseal(connection: &mut Connection, sealer: &Sealer) -> Result<usize, ChannelError> {
    let rows: Vec<Row> =
        channels::table.filter(channels::sealed_key.is_not_null()).select(Row::as_select()).load(connection)?;
    let count = rows.len();
    for row in rows {
        let id = row.id.to_string();
        let context = context(&id, &row.base_url);
        if let Some(sealed) = &row.sealed_key {
            let plain = sealer.open(sealed, &context)?;
            let sealed = sealer.seal(plain.expose_secret(), &context)?;
            diesel::update(channels::table.find(row.id)).set(channels::sealed_key.eq(sealed)).execute(connection)?;
        }
    }
    epoch::advance(connection)?;
    Ok(count)
}

/// A key belongs to its row and to the host that it is sent to: copied elsewhere, it does not open.
fn context<'a>(id: &'a str, base_url: &'a str) -> SealContext<'a> {
    let host = base_url.split_once("://").map_or(base_url, |(_, rest)| rest);
    SealContext { table: "channels", row: id, host: host.split('/').next().unwrap_or(host) }
}

fn models_of(connection: &mut Connection, channel: i64) -> Result<ServedModels, DbError> {
    let rows: Vec<(String, String)> = channel_models::table
        .filter(channel_models::channel.eq(channel))
        .select((channel_models::model, channel_models::upstream))
        .load(connection)?;
    Ok(rows.into_iter().collect())
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = channels)]
struct Row {
    id: i64,
    name: String,
    kind: String,
    base_url: String,
    sealed_key: Option<Vec<u8>>,
    priority: i64,
    weight: i64,
    enabled: bool,
}

impl Row {
    fn kind(&self) -> Result<ChannelKind, DbError> {
        self.kind.parse().map_err(|_| DbError::Corrupt(format!("the type of channel {}", self.name)))
    }

    fn into_channel(self, connection: &mut Connection) -> Result<Channel, DbError> {
        Ok(Channel {
            id: self.id,
            kind: self.kind()?,
            models: models_of(connection, self.id)?,
            name: self.name,
            base_url: self.base_url,
            has_api_key: self.sealed_key.is_some(),
            priority: self.priority,
            weight: self.weight,
            enabled: self.enabled,
        })
    }

    fn open(self, sealer: &Sealer) -> Result<OpenChannel, DbError> {
        let kind = self.kind()?;
        let id = self.id.to_string();
        let closed = |why: String| DbError::Corrupt(format!("the key of channel {}: {why}", self.name));
        let api_key = match &self.sealed_key {
            None => None,
            Some(sealed) => {
                let plain =
                    sealer.open(sealed, &context(&id, &self.base_url)).map_err(|error| closed(error.to_string()))?;
                let text = std::str::from_utf8(plain.expose_secret()).map_err(|error| closed(error.to_string()))?;
                Some(SecretString::from(text))
            }
        };
        Ok(OpenChannel {
            id: self.id,
            name: self.name,
            kind,
            base_url: self.base_url,
            api_key,
            priority: self.priority,
            weight: self.weight,
        })
    }
}
