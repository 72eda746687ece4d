//! The URLs that the settings name, with the passwords of their files.

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::DeploymentError;
use crate::config::{DatabaseUrl, Settings};
use crate::redis_store::RedisSettings;

/// The database; refuses what does not go together.
pub(super) fn database(settings: &Settings) -> Result<DatabaseUrl, DeploymentError> {
    match &settings.database.url {
        DatabaseUrl::Sqlite(_) if settings.redis.url.is_some() => Err(DeploymentError::Unsupported(
            "REDIS_URL is set, but SQLite serves one process with its queue inside: unset REDIS_URL, or set DATABASE_URL to postgres://...".to_owned(),
        )),
        DatabaseUrl::Sqlite(path) => Ok(DatabaseUrl::Sqlite(path.clone())),
        DatabaseUrl::Postgres(url) => {
            with_password(url, "DATABASE_URL", settings.database.password_file.as_deref()).map(DatabaseUrl::Postgres)
        }
    }
}

/// The Redis, if there is one.
pub(super) fn redis(settings: &Settings) -> Result<Option<RedisSettings>, DeploymentError> {
    let Some(url) = &settings.redis.url else { return Ok(None) };
    let url = with_password(url, "REDIS_URL", settings.redis.password_file.as_deref())?;
    let (ca_file, prefix) = (settings.redis.ca_file.clone(), settings.redis.prefix.clone());
    Ok(Some(RedisSettings { ca_file, prefix, ..RedisSettings::new(url) }))
}

/// Puts the text of a file into a URL as its password.
fn with_password(url: &SecretString, name: &str, file: Option<&Path>) -> Result<SecretString, DeploymentError> {
    let Some(path) = file else { return Ok(url.clone()) };
    let failed = |message: String| DeploymentError::File { path: path.to_path_buf(), message };
    let password: SecretString = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?.into();
    let mut whole = Url::parse(url.expose_secret())
        .map_err(|_| failed(format!("{name} cannot be read as a URL, so the password cannot be put into it")))?;
    // The URL's own encoder takes a percent sign for the beginning of an encoded character.
    let password = password.expose_secret().trim_end_matches(['\r', '\n']).replace('%', "%25");
    whole
        .set_password(Some(&password))
        .map_err(|()| failed(format!("{name} names no host, so there is no place for a password")))?;
    Ok(String::from(whole).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_comes_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "p@ss/w:rd %\n").unwrap();
        let url: SecretString = "postgres://xiaoyi@db:5433/x?sslmode=disable".into();
        let whole = with_password(&url, "DATABASE_URL", Some(&path)).unwrap();
        assert_eq!(whole.expose_secret(), "postgres://xiaoyi:p%40ss%2Fw%3Ard%20%25@db:5433/x?sslmode=disable");
        let missing = with_password(&url, "DATABASE_URL", Some(&folder.path().join("none"))).unwrap_err();
        assert!(missing.to_string().contains("none"), "{missing}");
    }
}
