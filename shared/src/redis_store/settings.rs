//! Which Redis, and how long it may take.

use std::path::{Path, PathBuf};
use std::time::Duration;

use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, TlsCertificates};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::RedisStoreError;

/// Where Redis is and how it is spoken to.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// `redis://` or, with TLS, `rediss://`; user, password and database number as usual: `rediss://:password@host:6379/2`.
    pub url: SecretString,
    /// The certificates (PEM) that a server of `rediss://` must be signed by. Without it, those of the operating system.
    pub ca_file: Option<PathBuf>,
    /// What every key begins with, in braces, so that all of them are in one slot: letters, digits, `-`, `_` or `.`.
    pub prefix: String,
    /// How long is waited.
    pub timeouts: RedisTimeouts,
    /// Connections for short commands; each carries those of many callers at a time. Few, so that many travel together, which spares both
    /// sides system calls; more than one, so that a large body keeps only some of the others waiting.
    pub connections: usize,
}

/// How long Redis may take.
#[derive(Debug, Clone, Copy)]
pub struct RedisTimeouts {
    /// For a new connection.
    pub connect: Duration,
    /// For a short command and its answer, new tries after a broken connection included; large ones get a second more for each MiB.
    pub response: Duration,
}

impl Default for RedisTimeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(1), response: Duration::from_millis(1500) }
    }
}

impl RedisSettings {
    /// The usual settings for a server.
    pub fn new(url: SecretString) -> Self {
        Self { url, ca_file: None, prefix: "xiaoyi".to_owned(), timeouts: RedisTimeouts::default(), connections: 2 }
    }

    pub(super) fn checked_prefix(&self) -> Result<&str, RedisStoreError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let is_usable = !self.prefix.is_empty() && self.prefix.len() <= 64 && self.prefix.bytes().all(is_plain);
        if is_usable { Ok(&self.prefix) } else { Err(RedisStoreError::Prefix) }
    }

    pub(super) fn client(&self) -> Result<Client, RedisStoreError> {
        let url = Url::parse(self.url.expose_secret())
            .map_err(|_| RedisStoreError::Url("it is no URL; it looks like redis://:password@host:6379/0"))?;
        let is_tls = match url.scheme() {
            "redis" => false,
            "rediss" => true,
            _ => return Err(RedisStoreError::Url("it must begin with redis:// or rediss://")),
        };
        if url.fragment().is_some() {
            return Err(RedisStoreError::Url("it must not have a part behind '#'"));
        }
        let info: ConnectionInfo = url.into_connection_info().map_err(|_| {
            RedisStoreError::Url(
                "host, port or database number is not valid; it looks like redis://:password@host:6379/0",
            )
        })?;
        if !is_tls {
            return Client::open(info).map_err(|_| RedisStoreError::Url("host or port is not valid"));
        }
        // Redis' client takes the process-wide provider; whoever came first has set the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let root_cert = self.ca_file.as_deref().map(certificates).transpose()?;
        Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert }).map_err(|error| {
            match &self.ca_file {
                Some(path) => RedisStoreError::CaFile { path: path.clone(), why: error.to_string() },
                None => RedisStoreError::Url("its TLS settings are not valid"),
            }
        })
    }
}

/// The content of a file of certificates, which holds at least one.
fn certificates(path: &Path) -> Result<Vec<u8>, RedisStoreError> {
    let unusable = |why: String| RedisStoreError::CaFile { path: path.to_path_buf(), why };
    let content = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    match CertificateDer::pem_slice_iter(&content).next() {
        Some(Ok(_)) => Ok(content),
        Some(Err(error)) => Err(unusable(error.to_string())),
        None => Err(unusable("it holds no certificate (PEM)".to_owned())),
    }
}

/// Host, port and database number: all of an address that may be shown.
pub(super) fn shown(info: &ConnectionInfo) -> String {
    let database = info.redis_settings().db();
    match info.addr() {
        ConnectionAddr::Tcp(host, port) => format!("redis://{host}:{port}/{database}"),
        ConnectionAddr::TcpTls { host, port, .. } => format!("rediss://{host}:{port}/{database}"),
        other => format!("{other}/{database}"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("redis://localhost", "redis://localhost:6379/0")]
    #[case("redis://:hunter2@10.0.0.1:7000/3", "redis://10.0.0.1:7000/3")]
    #[case("rediss://user:hunter2@redis.internal:6380/1", "rediss://redis.internal:6380/1")]
    fn reads_an_address_and_hides_its_password(#[case] url: &str, #[case] expected: &str) {
        let settings = RedisSettings::new(url.into());
        assert!(!format!("{settings:?}").contains("hunter2"));
        assert_eq!(shown(settings.client().unwrap().get_connection_info()), expected);
    }

    #[rstest]
    #[case("")]
    #[case("localhost:6379")]
    #[case("http://:hunter2@localhost")]
    #[case("redis://:hunter2@localhost/many")]
    #[case("redis://:hunter2@localhost:port")]
    #[case("rediss://:hunter2@localhost#insecure")]
    fn refuses_another_address_without_showing_it(#[case] url: &str) {
        let error = RedisSettings::new(url.into()).client().unwrap_err();
        assert!(matches!(error, RedisStoreError::Url(_)), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[rstest]
    #[case("xiaoyi", true)]
    #[case("test-1.a_b", true)]
    #[case("", false)]
    #[case("a}b", false)]
    #[case("a:b", false)]
    fn a_prefix_keeps_keys_together(#[case] prefix: &str, #[case] is_usable: bool) {
        let settings = RedisSettings { prefix: prefix.to_owned(), ..RedisSettings::new("redis://localhost".into()) };
        assert_eq!(settings.checked_prefix().is_ok(), is_usable);
    }
}
