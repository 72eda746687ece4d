//! `xiaoyi doctor`: looks at everything that a service needs, and says what is wrong and what to do.

mod catalogue;
mod database;
mod durability;
mod queue;

use serde::Serialize;
use serde_json::{Map, Value, json};
use shared::config::Settings;
use shared::deployment::{DeploymentError, Workbench};
use shared::installation::InstallationError;

use crate::failure::Failure;
use crate::output::Report;
use crate::table::{Side, table};

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warn,
    Error,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Check {
    name: &'static str,
    state: State,
    detail: String,
}

impl Check {
    fn new(name: &'static str, state: State, detail: impl Into<String>) -> Self {
        Self { name, state, detail: detail.into() }
    }
}

/// Looks at everything.
pub(crate) async fn run(settings: Settings) -> Result<Report, Failure> {
    let described = settings.describe();
    let configuration = format!(
        "{} settings read; currency {}, time zone {}",
        described.len(),
        settings.currency,
        settings.timezone.name()
    );
    let mut checks = vec![Check::new("configuration", State::Ok, configuration)];
    match Workbench::open(settings).await {
        Err(error) => checks.push(Check::new(part_at_fault(&error), State::Error, error.to_string())),
        Ok(workbench) => {
            checks.extend(database::checks(&workbench).await?);
            checks.push(queue::check(&workbench).await);
            checks.extend(catalogue::checks(&workbench).await?);
            let detail = "not looked at here: `xiaoyi ledger audit` checks every line";
            checks.push(Check::new("ledger", State::Ok, detail));
        }
    }
    let is_well = checks.iter().all(|check| check.state != State::Error);
    let values: Map<String, Value> =
        described.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into())).collect();
    let object = json!({"ok": is_well, "checks": checks, "settings": values});
    Ok(Report::of(&object, text(&checks, &described))?.good_if(is_well))
}

/// The part that keeps a command from working.
fn part_at_fault(error: &DeploymentError) -> &'static str {
    match error {
        DeploymentError::Unsupported(_) | DeploymentError::Installation(InstallationError::OtherCurrency { .. }) => {
            "configuration"
        }
        DeploymentError::SecretLost { .. }
        | DeploymentError::NoSecret
        | DeploymentError::BadSecret { .. }
        | DeploymentError::Installation(InstallationError::WrongSecret) => "secret",
        _ => "database",
    }
}

fn text(checks: &[Check], settings: &[(&'static str, String)]) -> String {
    let row = |check: &Check| {
        let state = match check.state {
            State::Ok => "ok",
            State::Warn => "WARN",
            State::Error => "ERROR",
        };
        [state.to_owned(), check.name.to_owned(), check.detail.clone()]
    };
    let rows: Vec<_> = checks.iter().map(row).collect();
    let listed = table([("STATE", Side::Left), ("WHAT", Side::Left), ("DETAIL", Side::Left)], &rows, "");
    let settings: Vec<_> = settings.iter().map(|(name, value)| [(*name).to_owned(), value.clone()]).collect();
    format!("{listed}\n\n{}", table([("SETTING", Side::Left), ("VALUE", Side::Left)], &settings, ""))
}
