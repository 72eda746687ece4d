//! Ways to a server: passwords, databases, TLS.

use std::path::Path;
use std::process::{Command, Stdio};

use super::server::{Redis, free_port};
use super::{LIMITS, ask, call, pool_of, queue_of, timings};
use crate::redis_store::{RedisPool, RedisSettings, RedisStoreError, ServerFacts};

#[tokio::test]
async fn a_password_and_a_database_number_are_used() {
    let redis = Redis::start_with(|_| vec!["--requirepass".to_owned(), "hunter2".to_owned()]);
    let address = format!("127.0.0.1:{}", redis.port());
    let pool = pool_of(format!("redis://:hunter2@{address}/5"), "test").await;
    let queue = queue_of(&pool, LIMITS, true, timings()).await;
    call(&queue, &queue).await;
    let keyspace: String = ask(&pool, &["INFO", "keyspace"]).await;
    assert!(keyspace.contains("db5:") && !keyspace.contains("db0:"), "{keyspace}");
    for url in [format!("redis://:hunter3@{address}"), format!("redis://{address}")] {
        let error = RedisPool::connect(&RedisSettings::new(url.into())).await.unwrap_err();
        assert!(matches!(error, RedisStoreError::Refused { .. }), "{error:?}");
        let words = format!("{error} {error:?}");
        assert!(words.contains(&address) && !words.contains("hunter"), "{words}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let address = format!("127.0.0.1:{}", free_port());
    let settings = RedisSettings::new(format!("redis://user:hunter2@{address}/1").into());
    let error = RedisPool::connect(&settings).await.unwrap_err();
    assert!(error.is_outage(), "{error:?}");
    let words = format!("{error} {error:?}");
    assert!(words.contains(&address) && !words.contains("hunter2") && !words.contains("user"), "{words}");
}

#[tokio::test]
async fn what_a_server_says_of_itself_is_read() {
    let redis = Redis::start();
    let pool = pool_of(redis.url(), "test").await;
    let ServerFacts { version, maxmemory_policy, is_append_only } = pool.facts().await.unwrap();
    assert!(version.starts_with(|digit: char| digit.is_ascii_digit()), "{version}");
    assert_eq!((maxmemory_policy.as_deref(), is_append_only), (Some("noeviction"), Some(true)));
    ask::<String>(&pool, &["CONFIG", "SET", "appendonly", "no"]).await;
    assert_eq!(pool.facts().await.unwrap().is_append_only, Some(false));
}

/// A certificate authority, and a server's certificate for localhost.
fn make_certificates(folder: &Path) {
    let extensions = "subjectAltName=DNS:localhost,IP:127.0.0.1\n";
    std::fs::write(folder.join("extensions"), extensions).unwrap();
    let openssl = |arguments: &str| {
        let mut command = Command::new("openssl");
        command.args(arguments.split(' ')).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(command.status().expect("openssl").success(), "{arguments}");
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    for authority in ["ca", "another"] {
        openssl(&format!("req -x509 {key} -keyout {authority}.key -out {authority}.pem -days 2 -subj /CN={authority}"));
    }
    openssl(&format!("req {key} -keyout server.key -out server.csr -subj /CN=localhost"));
    openssl(
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out server.pem",
    );
}

#[tokio::test]
async fn a_server_with_tls_is_reached_if_its_certificate_is_trusted() {
    let tls_port = free_port();
    let redis = Redis::start_with(|folder| {
        make_certificates(folder);
        let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let options = [
            ("--tls-port", tls_port.to_string()),
            ("--tls-cert-file", file("server.pem")),
            ("--tls-key-file", file("server.key")),
            ("--tls-ca-cert-file", file("ca.pem")),
            ("--tls-auth-clients", "no".to_owned()),
            ("--requirepass", "hunter2".to_owned()),
        ];
        options.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
    });
    let settings = |host: &str, ca_file: Option<&str>| RedisSettings {
        ca_file: ca_file.map(|name| redis.folder().join(name)),
        ..RedisSettings::new(format!("rediss://:hunter2@{host}:{tls_port}/2").into())
    };
    for host in ["localhost", "127.0.0.1"] {
        let pool = RedisPool::connect(&settings(host, Some("ca.pem"))).await.unwrap();
        let queue = queue_of(&pool, LIMITS, true, timings()).await;
        call(&queue, &queue).await;
    }
    for distrusting in [settings("localhost", Some("another.pem")), settings("localhost", None)] {
        let error = RedisPool::connect(&distrusting).await.unwrap_err();
        assert!(error.is_outage(), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
    for unusable in ["missing.pem", "extensions"] {
        let error = RedisPool::connect(&settings("localhost", Some(unusable))).await.unwrap_err();
        assert!(matches!(error, RedisStoreError::CaFile { .. }), "{unusable}: {error:?}");
    }
}
