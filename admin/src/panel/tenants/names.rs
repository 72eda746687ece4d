//! The names of the tenants in a file, asked for as they come.

use std::collections::BTreeMap;

use shared::db::{Database, DbError};
use shared::id::TenantId;
use shared::tenant;

/// The names of the tenants that came so far.
#[derive(Debug)]
pub(in crate::panel) struct Names {
    database: Database,
    known: BTreeMap<TenantId, String>,
}

impl Names {
    /// Of nobody yet.
    pub(in crate::panel) fn of(database: &Database) -> Self {
        Self { database: database.clone(), known: BTreeMap::new() }
    }

    /// Asks for those of `tenants` that have not come yet.
    ///
    /// # Errors
    /// [`DbError`].
    pub(in crate::panel) async fn learn(&mut self, tenants: impl Iterator<Item = TenantId>) -> Result<(), DbError> {
        let unknown: Vec<TenantId> = tenants.filter(|tenant| !self.known.contains_key(tenant)).collect();
        if !unknown.is_empty() {
            self.known.extend(self.database.read_records(move |connection| tenant::names(connection, unknown)).await?);
        }
        Ok(())
    }

    /// The name, if it was learnt.
    pub(in crate::panel) fn get(&self, tenant: TenantId) -> Option<&str> {
        self.known.get(&tenant).map(String::as_str)
    }
}
