//! One PostgreSQL and one Redis for all tests of a process, started when the first one asks.

use std::sync::OnceLock;

use crate::{Error, Postgres, Redis};

static POSTGRES: OnceLock<Result<Postgres, Error>> = OnceLock::new();
static REDIS: OnceLock<Result<Redis, Error>> = OnceLock::new();

/// The PostgreSQL of this process. Take a [`database`](Postgres::database) of your own, and leave the server running.
///
/// # Panics
/// When it does not start: a test that needs it has failed then, and is not skipped.
#[track_caller]
pub fn shared_postgres() -> &'static Postgres {
    running(POSTGRES.get_or_init(Postgres::start))
}

/// The Redis of this process. Use keys or a database number of your own, and neither empty nor stop it.
///
/// # Panics
/// When it does not start: a test that needs it has failed then, and is not skipped.
#[track_caller]
pub fn shared_redis() -> &'static Redis {
    running(REDIS.get_or_init(Redis::start))
}

#[expect(clippy::panic, reason = "a test whose server does not start has failed")]
#[track_caller]
fn running<T>(started: &'static Result<T, Error>) -> &'static T {
    match started {
        Ok(server) => server,
        Err(error) => panic!("{error}"),
    }
}
