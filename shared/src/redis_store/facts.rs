//! What a server says of itself, for those who check an installation.

use super::{RedisPool, RedisStoreError};

/// What decides whether a Redis is fit for this service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFacts {
    /// `redis_version`, such as `7.0.15`.
    pub version: String,
    /// `maxmemory-policy`; only `noeviction` keeps what was accepted. `None`: the server does not let us read it.
    pub maxmemory_policy: Option<String>,
    /// Whether what waits outlives a restart (`appendonly`). `None`: the server does not let us read it.
    pub is_append_only: Option<bool>,
}

impl RedisPool {
    /// Asks the server about itself.
    ///
    /// # Errors
    /// [`RedisStoreError`].
    pub async fn facts(&self) -> Result<ServerFacts, RedisStoreError> {
        let info: String = self.command(redis::cmd("INFO").arg("server")).await?;
        let version = info.lines().find_map(|line| line.strip_prefix("redis_version:"));
        Ok(ServerFacts {
            version: version.unwrap_or("unknown").trim().to_owned(),
            maxmemory_policy: self.setting("maxmemory-policy").await?,
            is_append_only: self.setting("appendonly").await?.map(|value| value == "yes"),
        })
    }

    /// Managed servers often forbid CONFIG; that is no outage.
    async fn setting(&self, name: &str) -> Result<Option<String>, RedisStoreError> {
        match self.command::<Vec<String>>(redis::cmd("CONFIG").arg("GET").arg(name)).await {
            Ok(pair) => Ok(pair.into_iter().nth(1)),
            Err(RedisStoreError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
