//! `xiaoyi usage`: what a customer was charged for.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use shared::clock::Timestamp;
use shared::config::Settings;
use shared::ledger::{self, Grouping, Period, UsageRow};
use shared::rollups::Usage;
use shared::values::{self, Boundary};

use super::{OfTenant, open, read};
use crate::failure::Failure;
use crate::output::Report;
use crate::table::{Side, table};

/// How far back it looks without `--from`, in milliseconds: 30 days.
const BACK_MS: i64 = 30 * 24 * 3_600_000;

/// What `usage` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  xiaoyi usage --tenant acme
  xiaoyi usage --tenant acme --from 2026-01-01 --to 2026-02-01 --group-by model

--from is inclusive and --to exclusive. Days begin in the time zone of the settings (XIAOYI_TIMEZONE).")]
pub(crate) struct UsageArguments {
    #[command(flatten)]
    tenant: OfTenant,
    /// From when on [default: 30 days ago]
    #[arg(long, value_name = "DAY", value_parser = values::boundary)]
    from: Option<Boundary>,
    /// Until when [default: now]
    #[arg(long, value_name = "DAY", value_parser = values::boundary)]
    to: Option<Boundary>,
    /// What to sum by
    #[arg(long, value_name = "GROUP", value_enum, default_value = "day")]
    group_by: GroupBy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum GroupBy {
    Day,
    Model,
    Key,
    User,
}

impl GroupBy {
    const fn field(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Model => "model",
            Self::Key => "key",
            Self::User => "user",
        }
    }
}

/// Shows it.
pub(crate) async fn run(settings: Settings, arguments: UsageArguments) -> Result<Report, Failure> {
    let workbench = open(settings).await?;
    let zone = workbench.settings.timezone;
    let period = period(&arguments, &zone, workbench.clock.now())?;
    let tenant = arguments.tenant.find(&workbench).await?;
    let grouping = match arguments.group_by {
        GroupBy::Day => Grouping::Day(zone),
        GroupBy::Model => Grouping::Model,
        GroupBy::Key => Grouping::Key,
        GroupBy::User => Grouping::User,
    };
    let usage = read(&workbench, move |connection| {
        Ok(ledger::usage(connection, tenant.id, None, period, grouping, usize::MAX)?)
    });
    let Usage { rows, known_from } = usage.await?;
    if let Some(known_from) = known_from.and_then(|moment| chrono::DateTime::from_timestamp_millis(moment.0)) {
        // Sums without the days before would pass for those of the whole period.
        let day = known_from.with_timezone(&zone).date_naive();
        return Err(Failure::usage(format!("end users are known from {day} on: give a --from that is not before")));
    }
    let field = arguments.group_by.field();
    let objects: Vec<Value> = rows.iter().map(|row| object(field, row)).collect();
    Report::of(&objects, listed(field, &rows))
}

fn period(arguments: &UsageArguments, zone: &impl chrono::TimeZone, now: Timestamp) -> Result<Period, Failure> {
    let moment = |name: &str, boundary: Option<Boundary>, otherwise: Timestamp| match boundary {
        None => Ok(otherwise),
        Some(boundary) => boundary.moment(zone).ok_or_else(|| Failure::usage(format!("{name} is out of range"))),
    };
    // A call that is charged in this very millisecond counts.
    let to = moment("--to", arguments.to, now.plus_ms(1))?;
    let from = moment("--from", arguments.from, to.min(now).plus_ms(-BACK_MS))?;
    if from >= to {
        return Err(Failure::usage("--from must lie before --to"));
    }
    Ok((from, to))
}

fn object(field: &str, row: &UsageRow) -> Value {
    json!({
        "group_by": field,
        "group": row.group,
        "requests": row.requests,
        "prompt_tokens": row.prompt_tokens,
        "completion_tokens": row.completion_tokens,
        "images": row.images,
        "amount": row.amount,
    })
}

fn listed(field: &str, rows: &[UsageRow]) -> String {
    let heading = field.to_uppercase();
    let cells: Vec<_> = rows
        .iter()
        .map(|row| {
            let numbers =
                [row.requests, row.prompt_tokens, row.completion_tokens, row.images].map(|number| number.to_string());
            let [requests, prompt, completion, images] = numbers;
            [row.group.clone(), requests, prompt, completion, images, row.amount.to_string()]
        })
        .collect();
    let headings = [
        (heading.as_str(), Side::Left),
        ("REQUESTS", Side::Right),
        ("PROMPT TOKENS", Side::Right),
        ("COMPLETION TOKENS", Side::Right),
        ("IMAGES", Side::Right),
        ("AMOUNT", Side::Right),
    ];
    table(headings, &cells, "Nothing was charged in this period.")
}
