//! The commands of operators, one a file: its arguments, what it does, what it prints. They work beside a running server, which sees
//! what they change within a second.

pub(crate) mod balance;
pub(crate) mod channel;
mod channel_add;
pub(crate) mod channel_test;
pub(crate) mod doctor;
pub(crate) mod key;
pub(crate) mod key_issue;
pub(crate) mod ledger;
pub(crate) mod migrate;
pub(crate) mod price;
pub(crate) mod probe;
pub(crate) mod secret;
pub(crate) mod staff;
pub(crate) mod tenant;
pub(crate) mod topup;
pub(crate) mod usage;

use clap::Args;
use shared::audit_log::{self, Entry, Origin};
use shared::clock::Timestamp;
use shared::config::Settings;
use shared::db::Connection;
use shared::deployment::Workbench;
use shared::tenant::{Tenant, named};

use crate::failure::Failure;

/// Whose.
#[derive(Debug, Clone, Args)]
pub(crate) struct OfTenant {
    /// The tenant's name
    #[arg(long = "tenant", value_name = "NAME")]
    tenant_name: String,
}

impl OfTenant {
    /// The tenant.
    ///
    /// # Errors
    /// When there is none of this name.
    pub(crate) async fn find(self, workbench: &Workbench) -> Result<Tenant, Failure> {
        read(workbench, move |connection| Ok(named(connection, &self.tenant_name)?)).await
    }
}

/// What exists already, for a command to work with.
async fn open(settings: Settings) -> Result<Workbench, Failure> {
    Ok(Workbench::open(settings).await?)
}

/// Reads from the database.
async fn read<T, F>(workbench: &Workbench, work: F) -> Result<T, Failure>
where
    T: Send + 'static,
    F: FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
{
    workbench.database.read(move |connection| Ok(work(connection))).await?
}

/// Writes down what a command changes. Call it in the transaction of the change.
fn record(connection: &mut Connection, entry: Entry<'_>, now: Timestamp) -> Result<(), Failure> {
    Ok(audit_log::record(connection, &Origin::COMMAND_LINE, &entry, now)?)
}

/// Writes to the database, all of it or nothing.
async fn write<T, F>(workbench: &Workbench, work: F) -> Result<T, Failure>
where
    T: Send + 'static,
    F: FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
{
    workbench.database.write(work).await
}
