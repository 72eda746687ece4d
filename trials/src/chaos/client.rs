//! The HTTP client of all who call the service from outside.

use std::time::Duration;

use anyhow::Result;

/// A client that tries nothing again and has no limits of its own.
pub(super) fn new() -> Result<reqwest::Client> {
    let client = reqwest::Client::builder().no_proxy().retry(reqwest::retry::never());
    Ok(client.connect_timeout(Duration::from_secs(5)).build()?)
}
