//! The commands: the shape of their JSON, their exit status, and what a running server makes of them.

mod audit_log;
mod catalogue;
mod demo;
mod installation;
mod keys;
mod money;
mod secrets;
mod serving;
mod staff;
mod tenants;
mod usage_errors;

use std::time::Duration;

/// Within this a running server has seen a change: a second, and one more for a machine that is busy with other tests.
const SEEN: Duration = Duration::from_secs(2);
