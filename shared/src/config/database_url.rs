//! Which database, read from a URL.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// A database by its URL. The variant decides the engine.
#[derive(Debug, Clone)]
pub enum DatabaseUrl {
    /// A SQLite file: `sqlite://a/b` is relative to the working directory, `sqlite:///a/b` absolute.
    Sqlite(PathBuf),
    /// A PostgreSQL server, the whole `postgres://` or `postgresql://` URL. Secret for its password.
    Postgres(SecretString),
}

/// The text is no database URL. It does not hold the text, which may contain a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotADatabaseUrl {
    /// None of the schemes that are known.
    #[error("must begin with sqlite:// or postgres://, such as sqlite://data/xiaoyi.db")]
    Scheme,
    /// `sqlite://` without a path, or `:memory:`, of which every connection would have its own.
    #[error("must name a file after sqlite://, such as sqlite://data/xiaoyi.db")]
    NoFile,
    /// A `postgres://` URL that cannot be read.
    #[error("cannot be read as a URL: in user and password write %40 for @, %2F for /, %3A for :, %25 for %")]
    Malformed,
    /// `sqlite://file?option=...`, which would otherwise become part of the file's name.
    #[error("must be a file only, without the part from the question mark on")]
    Parameters,
}

impl FromStr for DatabaseUrl {
    type Err = NotADatabaseUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            // What the client library cannot read it quotes, and that may be a piece of a password.
            let is_whole = Url::parse(text).is_ok() && percent_signs_are_encoded(text);
            return if is_whole { Ok(Self::Postgres(text.into())) } else { Err(NotADatabaseUrl::Malformed) };
        }
        let Some(path) = text.strip_prefix("sqlite://") else {
            return Err(NotADatabaseUrl::Scheme);
        };
        if path.contains('?') {
            return Err(NotADatabaseUrl::Parameters);
        }
        if path.is_empty() || path.ends_with('/') || path.contains(":memory:") {
            return Err(NotADatabaseUrl::NoFile);
        }
        Ok(Self::Sqlite(PathBuf::from(path)))
    }
}

/// Whether each percent sign begins a byte in hexadecimal.
fn percent_signs_are_encoded(text: &str) -> bool {
    text.split('%').skip(1).all(|rest| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()))
}

impl DatabaseUrl {
    /// Where it is, for people: the path of a file, or the server and the database without user, password and parameters.
    pub fn place(&self) -> String {
        match self {
            Self::Sqlite(path) => path.display().to_string(),
            Self::Postgres(_) => self.to_string(),
        }
    }
}

impl fmt::Display for DatabaseUrl {
    /// The URL of a SQLite file; of PostgreSQL where it is and which database, without user, password and parameters.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(formatter, "sqlite://{}", path.display()),
            Self::Postgres(url) => match Url::parse(url.expose_secret()) {
                Ok(url) => {
                    let (host, port) = (url.host_str().unwrap_or("localhost"), url.port().unwrap_or(5432));
                    write!(formatter, "postgres://{host}:{port}{}", url.path())
                }
                Err(_) => formatter.write_str("postgres://(unreadable)"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("sqlite://data/xiaoyi.db", "data/xiaoyi.db")]
    #[case("sqlite:///var/lib/xiaoyi.db", "/var/lib/xiaoyi.db")]
    #[case("sqlite://x.db", "x.db")]
    fn reads_a_file(#[case] url: DatabaseUrl, #[case] expected: &str) {
        let DatabaseUrl::Sqlite(path) = url else { panic!("expected SQLite") };
        assert_eq!(path, PathBuf::from(expected));
    }

    #[rstest]
    #[case("postgres://user:hunter2@db/xiaoyi")]
    #[case("postgresql://user:hunter2@db/xiaoyi")]
    fn keeps_a_server_secret(#[case] text: &str) {
        let url: DatabaseUrl = text.parse().unwrap();
        assert!(!format!("{url} {url:?}").contains("hunter2"));
        let DatabaseUrl::Postgres(url) = url else { panic!("expected PostgreSQL") };
        assert_eq!(url.expose_secret(), text);
    }

    #[rstest]
    #[case("", NotADatabaseUrl::Scheme)]
    #[case("data/xiaoyi.db", NotADatabaseUrl::Scheme)]
    #[case("mysql://db/xiaoyi", NotADatabaseUrl::Scheme)]
    #[case("sqlite:xiaoyi.db", NotADatabaseUrl::Scheme)]
    #[case("postgres://u:100%zz@h/db", NotADatabaseUrl::Malformed)]
    #[case("postgres://u:50%@h/db", NotADatabaseUrl::Malformed)]
    #[case("postgres://u:pa/ss@h/db", NotADatabaseUrl::Malformed)]
    #[case("sqlite://", NotADatabaseUrl::NoFile)]
    #[case("sqlite://data/", NotADatabaseUrl::NoFile)]
    #[case("sqlite://:memory:", NotADatabaseUrl::NoFile)]
    #[case("sqlite://x.db?mode=rwc", NotADatabaseUrl::Parameters)]
    fn refuses(#[case] text: &str, #[case] expected: NotADatabaseUrl) {
        assert_eq!(text.parse::<DatabaseUrl>().unwrap_err(), expected);
    }
}
