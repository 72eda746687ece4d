//! Changes of channels and prices by somebody, each with its entry in the audit log: one way for the command line, the panel, and the
//! service itself.

use serde_json::{Value, json};

use super::channel::{self, Channel, ChannelError, NewChannel};
use super::price_list::{self, NewPrice};
use crate::audit_log::{self, Entry, Origin};
use crate::clock::Timestamp;
use crate::db::{Connection, DbError};
use crate::price::Price;
use crate::seal::Sealer;

/// Adds a channel, enabled. Call it in a write transaction.
///
/// # Errors
/// [`ChannelError`].
pub fn add_channel(
    connection: &mut Connection,
    sealer: &Sealer,
    new: &NewChannel,
    origin: &Origin,
    now: Timestamp,
) -> Result<Channel, ChannelError> {
    let channel = channel::add(connection, sealer, new, now)?;
    record(connection, origin, "channel.add", &channel.name, (None, Some(json!(channel))), now)?;
    Ok(channel)
}

/// Enables or disables a channel; one that is so already stays as it is. Call it in a write transaction.
///
/// # Errors
/// [`ChannelError::Unknown`] or the database's.
pub fn switch_channel(
    connection: &mut Connection,
    name: &str,
    enabled: bool,
    origin: &Origin,
    now: Timestamp,
) -> Result<Channel, ChannelError> {
    let before = channel::named(connection, name)?;
    if before.enabled == enabled {
        return Ok(before);
    }
    let after = channel::set_enabled(connection, name, enabled)?;
    let action = if enabled { "channel.enable" } else { "channel.disable" };
    record(connection, origin, action, name, (Some(json!(before)), Some(json!(after))), now)?;
    Ok(after)
}

/// Sets the price of a model, or the default one. Call it in a write transaction.
///
/// # Errors
/// [`DbError`].
pub fn set_price(
    connection: &mut Connection,
    new: NewPrice,
    origin: &Origin,
    now: Timestamp,
) -> Result<Price, DbError> {
    let before = match &new.model {
        Some(model) => price_list::of_model(connection, model)?,
        None => price_list::default_price(connection)?,
    };
    let after = price_list::set(connection, new, now)?;
    let change = (before.map(|before| before.to_json()), Some(after.to_json()));
    record(connection, origin, "price.set", &after.model, change, now)?;
    Ok(after)
}

fn record(
    connection: &mut Connection,
    origin: &Origin,
    action: &'static str,
    subject: &str,
    (before, after): (Option<Value>, Option<Value>),
    now: Timestamp,
) -> Result<(), DbError> {
    audit_log::record(connection, origin, &Entry { action, tenant: None, subject, before, after }, now)
}
