//! The settings: read once at the start, checked, and then only handed down.
//!
//! A flag goes before the environment, the environment before the file, the file before `default.toml`, which is
//! built in and documents every setting. To add a setting: a key with a comment in `default.toml`, a field in
//! its section, a line in `describe.rs`; the tests find what is missing.

mod base_url;
mod bounds;
mod cidr;
mod database_url;
mod describe;
mod error;
mod models;
mod names;
mod origins;
mod places;
mod sources;
#[cfg(test)]
mod tests;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use chrono_tz::Tz;
use serde::{Deserialize, Deserializer};

pub use base_url::{BaseUrl, NotABaseUrl};
pub use bounds::{
    DeadlineSettings, HttpSettings, IdempotencySettings, KeysSettings, LedgerSettings, LimitsSettings, LogFormat,
    LogSettings, QueueSettings, RecordsSettings, UpstreamSettings, WorkerSettings,
};
pub use cidr::{Cidr, NotACidr};
pub use database_url::{DatabaseUrl, NotADatabaseUrl};
pub use error::SettingsError;
pub use models::{ModelLimits, ModelsSettings, OpenAiSettings, PriceSettings};
pub use origins::Origins;
pub use places::{
    AdminSettings, ApiSettings, DataSettings, DatabaseSettings, MetricsSettings, MigrateSettings, PublicSettings,
    RedisSettings, SecretSettings, StartSettings, TrustedSettings,
};
pub use sources::Sources;

/// Every setting, checked. `Debug` shows no secret.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The currency of every amount, three capital letters (ISO 4217).
    #[serde(deserialize_with = "currency")]
    pub currency: String,
    /// Where days and months begin and end.
    #[serde(deserialize_with = "value::one")]
    pub timezone: Tz,
    /// Where everything is kept.
    pub database: DatabaseSettings,
    /// The queue and the rate limits, when they are not in this process.
    pub redis: RedisSettings,
    /// What `xiaoyi migrate` uses.
    pub migrate: MigrateSettings,
    /// How a process starts.
    pub start: StartSettings,
    /// The developers' API.
    pub api: ApiSettings,
    /// The operators' panel.
    pub admin: AdminSettings,
    /// Metrics and health.
    pub metrics: MetricsSettings,
    /// How the API is reached from outside.
    pub public: PublicSettings,
    /// Who is believed about other people's addresses.
    pub trusted: TrustedSettings,
    /// Files of the program's own.
    pub data: DataSettings,
    /// The key that seals secrets in the database.
    pub secret: SecretSettings,
    /// The channel that `serve` makes by itself.
    pub openai: OpenAiSettings,
    /// What holds for every model; ask [`Settings::model_limits`] about a certain one.
    pub models: ModelsSettings,
    /// Where a model differs.
    #[serde(default)]
    model: BTreeMap<String, models::ModelOverride>,
    /// Prices of models that have none of their own.
    pub price: PriceSettings,
    /// How long things may take.
    pub deadline: DeadlineSettings,
    /// What may wait.
    pub queue: QueueSettings,
    /// What is done at the same time.
    pub worker: WorkerSettings,
    /// How keys are checked.
    pub keys: KeysSettings,
    /// The largest bodies.
    pub limits: LimitsSettings,
    /// How HTTP is served.
    pub http: HttpSettings,
    /// What a provider may send.
    pub upstream: UpstreamSettings,
    /// The ledger's writer, audit and sweeper.
    pub ledger: LedgerSettings,
    /// Calls that are asked for again.
    pub idempotency: IdempotencySettings,
    /// What is kept for people to look at.
    pub records: RecordsSettings,
    /// What is logged, and how.
    pub log: LogSettings,
}

impl Settings {
    /// Reads and checks all settings.
    ///
    /// # Errors
    /// The first name that is unknown or value that is not allowed, or a file that cannot be read. The message
    /// is one line that may be shown as it is.
    pub fn load(sources: &Sources<'_>) -> Result<Self, SettingsError> {
        let figment = sources.layers()?;
        let mut settings: Self = figment.extract().map_err(|error| SettingsError::from_figment(&figment, error))?;
        if sources::is_default(&figment, "database.url")
            && let DatabaseUrl::Sqlite(path) = &settings.database.url
            && let Some(name) = path.file_name()
        {
            settings.database.url = DatabaseUrl::Sqlite(settings.data.dir.join(name));
        }
        Ok(settings)
    }

    /// The file that holds the sealing key when `secret.key` is unset: `secret.key_file`, or `secret.key` in
    /// the data folder.
    pub fn secret_key_path(&self) -> PathBuf {
        self.secret.key_file.clone().unwrap_or_else(|| self.data.dir.join("secret.key"))
    }

    /// What holds for the model of this public name.
    pub fn model_limits(&self, name: &str) -> ModelLimits {
        self.models.limits(self.model.get(name))
    }

    /// Every size in which some model sells images.
    pub fn image_sizes(&self) -> BTreeSet<&str> {
        let own = self.model.values().flat_map(models::ModelOverride::image_sizes);
        self.models.image_sizes.iter().chain(own).map(String::as_str).collect()
    }
}

fn currency<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    value::parsed(deserializer, |text| {
        let is_code = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase());
        is_code.then(|| text.to_owned()).ok_or_else(|| "must be three capital letters, such as CNY".to_owned())
    })
}
