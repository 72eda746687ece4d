//! Settings that say where things are: the database, the listeners, the folder, the secret.

use std::net::SocketAddr;
use std::path::PathBuf;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

use super::base_url::BaseUrl;
use super::cidr::Cidr;
use super::database_url::DatabaseUrl;
use super::origins::{Origins, origins};
use super::value::{Setting, between, list, one, optional, parsed};

/// Where everything is kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSettings {
    /// The database. When it was not given, `xiaoyi.db` in the folder of `data.dir`.
    #[serde(deserialize_with = "one")]
    pub url: DatabaseUrl,
    /// A file that holds the password for a server's URL.
    #[serde(deserialize_with = "optional")]
    pub password_file: Option<PathBuf>,
}

/// The queue and the rate limits, when they are not in this process.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisSettings {
    /// `redis://` or `rediss://`; `None` keeps both in process. Secret for its password.
    #[serde(deserialize_with = "redis_url")]
    pub url: Option<SecretString>,
    /// A file that holds the password for the URL.
    #[serde(deserialize_with = "optional")]
    pub password_file: Option<PathBuf>,
    /// Certificates (PEM) that sign Redis' own, for `rediss://`; `None` takes the system's.
    #[serde(deserialize_with = "optional")]
    pub ca_file: Option<PathBuf>,
    /// What every name in Redis begins with.
    #[serde(deserialize_with = "prefix")]
    pub prefix: String,
}

/// What `xiaoyi migrate` uses.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MigrateSettings {
    /// A database URL (it can be read as a [`DatabaseUrl`]) used instead of `database.url`; secret.
    #[serde(deserialize_with = "migrate_url")]
    pub database_url: Option<SecretString>,
    /// A file that holds the password for that URL.
    #[serde(deserialize_with = "optional")]
    pub database_password_file: Option<PathBuf>,
}

/// How a process starts.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartSettings {
    /// For how long a database or a Redis that does not answer is asked again, in seconds.
    #[serde(deserialize_with = "between::<_, _, 0, 3600>")]
    pub wait_s: u64,
}

/// The developers' API.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiSettings {
    /// Address and port; port 0 takes any free port.
    #[serde(deserialize_with = "one")]
    pub listen: SocketAddr,
    /// The sites whose pages may call it from a browser.
    #[serde(deserialize_with = "origins")]
    pub cors_origins: Origins,
}

/// The operators' panel.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminSettings {
    /// Address and port; port 0 takes any free port.
    #[serde(deserialize_with = "one")]
    pub listen: SocketAddr,
    /// What links to it begin with; `None` is the listener's own address.
    #[serde(deserialize_with = "optional")]
    pub url: Option<BaseUrl>,
}

/// Metrics and health, in every role.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsSettings {
    /// Address and port; port 0 takes any free port.
    #[serde(deserialize_with = "one")]
    pub listen: SocketAddr,
}

/// How the API is reached from outside.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicSettings {
    /// What links and samples begin with; `None` is the listener's own address.
    #[serde(deserialize_with = "optional")]
    pub url: Option<BaseUrl>,
}

/// Who is believed about other people's addresses.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedSettings {
    /// Only from these is `X-Forwarded-For` read, from the right.
    #[serde(deserialize_with = "list")]
    pub proxies: Vec<Cidr>,
}

/// Files of the program's own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSettings {
    /// The folder of the SQLite database and of a secret key that the program made.
    #[serde(deserialize_with = "one")]
    pub dir: PathBuf,
}

/// The key that seals secrets in the database.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretSettings {
    /// 32 bytes in base64, or `new,old` while it is being replaced. It goes before the file.
    #[serde(deserialize_with = "super::value::secret")]
    pub key: Option<SecretString>,
    /// The file that holds the key; see [`super::Settings::secret_key_path`] for the default.
    #[serde(deserialize_with = "optional")]
    pub key_file: Option<PathBuf>,
}

fn redis_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    parsed(deserializer, |text| match text {
        "" => Ok(None),
        _ if text.starts_with("redis://") || text.starts_with("rediss://") => Ok(Some(text.into())),
        _ => Err("must begin with redis:// or rediss://".to_owned()),
    })
}

fn prefix<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    parsed(deserializer, |text| {
        let is_plain = (1..=40).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        is_plain.then(|| text.to_owned()).ok_or_else(|| "must be 1 to 40 letters, digits, - or _".to_owned())
    })
}

fn migrate_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    parsed(deserializer, |text| match text {
        "" => Ok(None),
        _ => DatabaseUrl::from_text(text).map(|_| Some(text.into())),
    })
}
