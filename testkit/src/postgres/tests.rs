//! A real cluster, in all its states.

use super::*;

#[test]
fn it_survives_kills_with_its_data_and_its_durability() {
    let server = Postgres::start().unwrap();
    assert!(server.url().starts_with("postgres://postgres:") && server.url().ends_with("/postgres"));
    for (setting, value) in [("fsync", "on"), ("synchronous_commit", "on"), ("max_connections", "400")] {
        assert_eq!(server.query("postgres", &format!("SHOW {setting}")).unwrap(), value);
    }
    let database = server.new_database().unwrap();
    server.query(&database, "CREATE TABLE t (n int)").unwrap();
    server.query(&database, "INSERT INTO t VALUES (7)").unwrap();

    let (pid, port) = (server.pid().unwrap(), server.port());
    let family = children_of(pid);
    assert!(!family.is_empty());
    server.kill9();
    assert!(!lives(pid) && !family.iter().any(|child| lives(*child)));
    assert!(server.query(&database, "SELECT 1").is_err());

    server.start_again().unwrap();
    assert_eq!(server.query(&database, "SELECT n FROM t").unwrap(), "7");
    server.stop();
    assert_eq!(server.pid(), None);
    server.start_again().unwrap();
    assert_eq!((server.port(), server.query(&database, "SELECT n FROM t").unwrap()), (port, "7".to_owned()));

    let (pid, folder) = (server.pid().unwrap(), server.folder.path().to_owned());
    drop(server);
    assert!(!lives(pid) && !folder.exists());
}

#[test]
fn databases_are_apart_and_the_password_counts() {
    let server = crate::shared_postgres();
    let (one, other) = (server.new_database().unwrap(), server.new_database().unwrap());
    assert_ne!(one, other);
    server.query(&one, "CREATE TABLE t (n int)").unwrap();
    assert!(server.query(&other, "SELECT * FROM t").unwrap_err().to_string().contains("does not exist"));
    assert!(server.database().contains(&format!("@127.0.0.1:{}/test_", server.port())));

    let wrong = server.url().replace(&server.password, "wrong");
    let mut psql = Command::new(server.programs.path("psql"));
    let refused = finished(psql.args([&wrong, "-c", "SELECT 1"]).output(), "psql").unwrap_err().to_string();
    assert!(refused.contains("password authentication failed"), "{refused}");
}
