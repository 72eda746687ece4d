//! `xiaoyi migrate`: makes the database, or brings its schema up to date.

use secrecy::ExposeSecret;
use serde_json::json;
use shared::config::Settings;
use shared::deployment::Workbench;

use crate::failure::Failure;
use crate::output::Report;

/// Runs what is pending.
pub(crate) async fn run(mut settings: Settings) -> Result<Report, Failure> {
    if let Some(url) = settings.migrate.database_url.take() {
        // It was checked when the settings were read.
        settings.database.url = url.expose_secret().parse().map_err(Failure::internal)?;
        settings.database.password_file = settings.migrate.database_password_file.take();
    }
    let (workbench, migrations) = Workbench::create(settings).await?;
    let path = workbench.database.url().place();
    let text = match migrations {
        0 => format!("The database {path} is up to date."),
        1 => format!("The database {path} is up to date: 1 migration was run."),
        _ => format!("The database {path} is up to date: {migrations} migrations were run."),
    };
    Report::of(&json!({"database": path, "migrations": migrations}), text)
}
