//! `xiaoyi tenant`: customers.

use clap::Subcommand;
use serde_json::json;
use shared::audit_log::Entry;
use shared::clock::Timestamp;
use shared::config::Settings;
use shared::db::Connection;
use shared::deployment::Workbench;
use shared::tenant::{self, Tenant};

use super::{open, read, record, write};
use crate::failure::Failure;
use crate::output::Report;
use crate::table::{Side, table};

/// What to do with customers.
#[derive(Debug, Subcommand)]
pub(crate) enum TenantCommand {
    /// Make a tenant with an empty balance
    #[command(after_help = "Example:\n  xiaoyi tenant create acme")]
    Create {
        /// Its unique name
        name: String,
    },
    /// List all tenants
    #[command(after_help = "Example:\n  xiaoyi tenant list --json")]
    List,
    /// Refuse all calls of a tenant from now on; its balance stays
    #[command(after_help = "Example:\n  xiaoyi tenant suspend acme")]
    Suspend {
        /// Its name
        name: String,
    },
    /// Let a suspended tenant call again
    #[command(after_help = "Example:\n  xiaoyi tenant resume acme")]
    Resume {
        /// Its name
        name: String,
    },
}

/// Does it.
pub(crate) async fn run(settings: Settings, command: TenantCommand) -> Result<Report, Failure> {
    let workbench = open(settings).await?;
    let now = workbench.clock.now();
    match command {
        TenantCommand::Create { name } => {
            let made = write(&workbench, move |connection| {
                let made = tenant::create(connection, &name, now)?;
                changed(connection, "tenant.create", None, &made, now)?;
                Ok(made)
            })
            .await?;
            Report::of(
                &made,
                format!("Tenant {} is made (id {}). Next: xiaoyi key issue, xiaoyi topup.", made.name, made.id),
            )
        }
        TenantCommand::List => {
            let tenants = read(&workbench, |connection| Ok(tenant::list(connection)?)).await?;
            Report::of(&tenants, listed(&tenants))
        }
        TenantCommand::Suspend { name } => {
            let tenant = set_suspended(&workbench, name, "tenant.suspend", Some(now), now).await?;
            Report::of(&tenant, format!("Tenant {} is suspended: its calls are refused within a second.", tenant.name))
        }
        TenantCommand::Resume { name } => {
            let tenant = set_suspended(&workbench, name, "tenant.resume", None, now).await?;
            Report::of(&tenant, format!("Tenant {} may call again.", tenant.name))
        }
    }
}

async fn set_suspended(
    workbench: &Workbench,
    name: String,
    action: &'static str,
    since: Option<Timestamp>,
    now: Timestamp,
) -> Result<Tenant, Failure> {
    write(workbench, move |connection| {
        let before = tenant::named(connection, &name)?;
        let after = tenant::set_suspended(connection, &name, since)?;
        changed(connection, action, Some(&before), &after, now)?;
        Ok(after)
    })
    .await
}

fn changed(
    connection: &mut Connection,
    action: &'static str,
    before: Option<&Tenant>,
    after: &Tenant,
    now: Timestamp,
) -> Result<(), Failure> {
    let (before, after_facts) = (before.map(|before| json!(before)), Some(json!(after)));
    let entry = Entry { action, tenant: Some(after.id), subject: &after.name, before, after: after_facts };
    record(connection, entry, now)
}

fn listed(tenants: &[Tenant]) -> String {
    let row = |tenant: &Tenant| {
        let state = match tenant.suspended_at.map(Timestamp::to_rfc3339) {
            None => "active".to_owned(),
            Some(since) => format!("suspended since {since}"),
        };
        [tenant.id.to_string(), tenant.name.clone(), state]
    };
    let rows: Vec<_> = tenants.iter().map(row).collect();
    let nothing = "No tenants yet. Make one with: xiaoyi tenant create NAME";
    table([("ID", Side::Right), ("NAME", Side::Left), ("STATE", Side::Left)], &rows, nothing)
}
