use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use serde_json::{Value, json};
use testkit::Pair;

use crate::support::{Place, Server};

#[test]
fn commands_make_no_database_and_say_where_they_looked() {
    let place = Place::embedded(&[]);
    for arguments in [
        &["tenant", "list"][..],
        &["balance", "--tenant", "a"],
        &["ledger", "audit"],
        &["price", "list"],
        &["secret", "rotate"],
    ] {
        let (code, message) = place.command(arguments).failed(1);
        assert_eq!(code, "no_database");
        // The folder may be known by another name (a link), its end is the same.
        assert!(message.contains("/data/xiaoyi.db") && message.contains("at /"), "{message}");
    }
    assert!(!place.data().exists(), "a command made {}", place.data().display());
    let doctor = place.command(&["doctor"]);
    assert_eq!((doctor.status, &doctor.json["ok"]), (1, &Value::Bool(false)));
    assert!(!place.data().exists());
}

#[test]
fn migrate_makes_a_database_and_its_secret_once() {
    let place = Place::embedded(&[]);
    let made = place.command(&["migrate"]).ok();
    assert!(made["migrations"].as_u64().unwrap() > 0, "{made}");
    assert!(made["database"].as_str().unwrap().ends_with("/data/xiaoyi.db"), "{made}");
    let secret = place.data().join("secret.key");
    assert_eq!(std::fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&secret).unwrap();
    assert_eq!(place.command(&["migrate"]).ok()["migrations"], 0);
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), text);
}

#[test]
fn another_currency_stops_the_start() {
    let mut place = Place::new();
    place.command(&["migrate"]).ok();
    place.set("XIAOYI_CURRENCY", "USD");
    for command in ["migrate", "serve"] {
        assert_eq!(place.command(&[command]).failed(1).0, "other_currency");
    }
}

#[test]
fn a_bad_setting_is_named() {
    let mut place = Place::new();
    place.set("XIAOYI_QUEUE_CAPACITY", "0");
    let (code, message) = place.command(&["serve"]).failed(1);
    assert_eq!(code, "bad_setting");
    assert!(message.contains("XIAOYI_QUEUE_CAPACITY=0"), "{message}");
    place.set("XIAOYI_QUEUE_CAPACITY", "1");
    place.set("RUST_LOG", "shared=loud");
    assert!(place.command(&["migrate"]).failed(1).1.contains("RUST_LOG"));
    place.set("RUST_LOG", "debugg");
    let (code, message) = place.command(&["migrate"]).failed(1);
    assert_eq!(code, "bad_setting");
    assert!(message.contains("RUST_LOG=debugg") && message.contains("error, warn, info, debug"), "{message}");
}

#[test]
fn flags_go_before_the_environment() {
    let mut place = Place::embedded(&[]);
    place.set("XIAOYI_DATA_DIR", "elsewhere");
    let made = place.command(&["migrate", "--data-dir", "here"]).ok();
    assert!(made["database"].as_str().unwrap().ends_with("/here/xiaoyi.db"), "{made}");
    let made = place.command(&["migrate", "--database-url", "sqlite://other.db"]).ok();
    assert!(made["database"].as_str().unwrap().ends_with("/other.db"), "{made}");
}

#[test]
fn what_cannot_be_deployed_is_refused() {
    let redis = ("REDIS_URL", "redis://:hidden@localhost");
    let postgres = ("DATABASE_URL", "postgres://u:hidden@localhost/x");
    for (environment, arguments, code, named) in [
        (&[redis][..], &["serve"][..], "unsupported", "REDIS_URL"),
        (&[], &["serve", "--role", "worker"], "role_needs_redis", "REDIS_URL"),
        (&[], &["serve", "--role", "api"], "role_needs_redis", "DATABASE_URL"),
        (&[postgres], &["migrate"], "no_secret", "XIAOYI_SECRET_KEY"),
    ] {
        let (found, message) = Place::embedded(environment).command(arguments).failed(1);
        assert_eq!(found, code, "{message}");
        assert!(message.contains(named) && !message.contains("hidden"), "{message}");
    }
}

/// Nobody listens at port 1.
#[test]
fn a_server_that_does_not_answer_is_named_without_its_password() {
    let secret = ("XIAOYI_SECRET_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=");
    let away = ("DATABASE_URL", "postgres://u:hidden@127.0.0.1:1/x");
    let place = Place::embedded(&[secret, away, ("XIAOYI_START_WAIT_S", "1")]);
    let begun = Instant::now();
    for (arguments, waits) in [(&["serve"][..], true), (&["migrate"], true), (&["tenant", "list"], false)] {
        let (status, stdout, stderr) = place.spoken(arguments);
        assert_eq!((status, stdout.as_str()), (1, ""), "{stderr}");
        let last = stderr.lines().last().unwrap();
        assert!(last.contains("postgres://127.0.0.1:1/x") && last.contains("refused"), "{stderr}");
        assert_eq!(stderr.lines().count(), if waits { 2 } else { 1 }, "{stderr}");
        assert!(!stderr.contains("hidden"), "{stderr}");
    }
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn doctor_looks_at_everything() {
    let server = Server::start();
    server.echo("gpt-3.5").await;
    let doctor = server.command(&["doctor"]).ok();
    assert_eq!(doctor["ok"], true);
    let state = |name: &str| {
        let checks = doctor["checks"].as_array().unwrap();
        let check =
            checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no check {name}: {doctor}"));
        (check["state"].as_str().unwrap().to_owned(), check["detail"].as_str().unwrap().to_owned())
    };
    for name in ["configuration", "database", "durability", "secret", "queue", "channels", "ledger"] {
        assert_eq!(state(name).0, "ok", "{name}");
    }
    let durable = match server.place.pair() {
        Pair::Embedded => "journal_mode=wal synchronous=2 foreign_keys=1",
        Pair::Servers => "fsync=on full_page_writes=on synchronous_commit=on",
    };
    assert!(state("durability").1.contains(durable), "{doctor}");
    let of_the_pair = match server.place.pair() {
        Pair::Embedded => "write-ahead log",
        Pair::Servers => "clocks",
    };
    assert_eq!(state(of_the_pair).0, "ok");
    assert!(state("server").1.contains("one is running"));
    assert_eq!(state("echo").0, "warn");
    assert!(state("prices").1.contains("gpt-3.5"), "{doctor}");
    assert_eq!(doctor["settings"]["currency"], json!("CNY"));
    assert!(server.place.spoken(&["doctor"]).1.contains("durability"));
}

#[test]
fn doctor_warns_of_a_default_price_that_is_not_charged_yet() {
    let mut place = Place::new();
    place.command(&["migrate"]).ok();
    let check = |place: &Place| {
        let doctor = place.command(&["doctor"]).ok();
        let checks = doctor["checks"].as_array().unwrap();
        checks.iter().find(|check| check["name"] == "default price").unwrap().clone()
    };
    assert_eq!(check(&place)["state"], "ok");
    place.set("XIAOYI_PRICE_PROMPT", "12.00");
    let warned = check(&place);
    let detail = warned["detail"].as_str().unwrap();
    assert_eq!(warned["state"], "warn");
    assert!(detail.contains("12.00 prompt") && detail.contains("10.00 prompt"), "{detail}");
    place.command(&["migrate"]).ok();
    assert_eq!(check(&place), warned, "only a server makes a new default");
    let server = Server::start_in(place, &["serve"]);
    assert_eq!(check(&server.place)["state"], "ok");
}

#[test]
fn doctor_knows_a_database_from_before_the_first_release() {
    let place = Place::embedded(&[]);
    place.command(&["migrate"]).ok();
    let path = place.data().join("xiaoyi.db");
    let tables = |doctor: &Value| {
        let checks = doctor["checks"].as_array().unwrap();
        checks.iter().find(|check| check["name"] == "tables").cloned()
    };
    assert_eq!(tables(&place.command(&["doctor"]).ok()), None);
    let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    connection.batch_execute("DROP INDEX transfers_top_ups").unwrap();
    let doctor = place.command(&["doctor"]);
    assert_eq!(doctor.status, 1);
    let check = tables(&doctor.json).unwrap();
    assert_eq!(check["state"], "error");
    assert!(check["detail"].as_str().unwrap().contains("make the database anew"), "{check}");
}

#[test]
fn doctor_warns_of_a_secret_that_others_can_read() {
    let place = Place::embedded(&[]);
    place.command(&["migrate"]).ok();
    let secret = place.data().join("secret.key");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
    let doctor = place.command(&["doctor"]).ok();
    let check = doctor["checks"].as_array().unwrap().iter().find(|check| check["name"] == "secret").unwrap();
    assert_eq!(check["state"], "warn");
    std::fs::remove_file(&secret).unwrap();
    let doctor = place.command(&["doctor"]);
    assert_eq!((doctor.status, &doctor.json["ok"]), (1, &Value::Bool(false)));
}
