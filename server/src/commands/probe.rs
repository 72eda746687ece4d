//! `xiaoyi probe`: asks a health address, for containers that have no other program to do it with.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::failure::Failure;
use crate::output::Report;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(5);

/// What `probe` takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct ProbeArguments {
    /// The address, such as http://127.0.0.1:8082/readyz
    url: String,
}

/// Asks once.
pub(crate) async fn run(arguments: ProbeArguments) -> Result<Report, Failure> {
    let failed = |why: String| Failure::new("not_well", format!("{}: {why}", arguments.url));
    let client = reqwest::Client::builder().no_proxy().timeout(LIMIT).tls_certs_only(Vec::new()).build();
    let reply = client.map_err(Failure::internal)?.get(&arguments.url).send().await;
    let reply = reply.map_err(|error| failed(format!("no answer: {}", error.without_url())))?;
    let status = reply.status();
    let text = reply.text().await.unwrap_or_default();
    if !status.is_success() {
        return Err(failed(format!("{status}: {}", text.chars().take(500).collect::<String>())));
    }
    Report::of(&json!({"status": status.as_u16()}), format!("{}: {status}", arguments.url))
}
