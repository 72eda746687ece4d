//! Attempts to break the ledger by SQL on SQLite: what a mistaken program or hand could send. The database refuses each by itself, whatever the
//! connection has set, and every rule of it is needed.

use diesel::connection::SimpleConnection;
use rstest::rstest;
use shared::db::Connection;
use shared::ledger;
use testkit::Pair;

use self::table::{APPEND_ONLY, COLLIDING, FOREIGN, SINGLE};
use crate::ledger::scene::Scene;
use crate::place::words;

mod table;

/// Every way to insert.
const INSERT: [&str; 9] = [
    "INSERT INTO TABLE VALUES ROW",
    "INSERT OR ABORT INTO TABLE VALUES ROW",
    "INSERT OR FAIL INTO TABLE VALUES ROW",
    "INSERT OR ROLLBACK INTO TABLE VALUES ROW",
    "INSERT OR IGNORE INTO TABLE VALUES ROW",
    "INSERT OR REPLACE INTO TABLE VALUES ROW",
    "REPLACE INTO TABLE VALUES ROW",
    "INSERT INTO TABLE VALUES ROW ON CONFLICT DO UPDATE SET COLUMN = excluded.COLUMN",
    "INSERT OR REPLACE INTO TABLE SELECT * FROM (VALUES ROW) WHERE TRUE ON CONFLICT DO UPDATE SET COLUMN = excluded.COLUMN",
];
/// Every way to change or remove rows.
const ALTER: [&str; 7] = [
    "UPDATE TABLE SET COLUMN = COLUMN",
    "UPDATE OR FAIL TABLE SET COLUMN = COLUMN",
    "UPDATE OR ROLLBACK TABLE SET COLUMN = COLUMN",
    "UPDATE OR IGNORE TABLE SET COLUMN = NULL",
    "UPDATE OR REPLACE TABLE SET COLUMN = NULL",
    "UPDATE TABLE SET COLUMN = other.COLUMN FROM TABLE AS other",
    "DELETE FROM TABLE WHERE COLUMN IS COLUMN",
];

#[rstest]
#[tokio::test]
async fn every_attack_is_refused_and_changes_nothing(
    #[values("ON", "OFF")] foreign_keys: &str,
    #[values("ON", "OFF")] recursive_triggers: &str,
) {
    let scene = Scene::set_on(Pair::Embedded).await;
    let mut connection = scene.stranger(&pragmas(foreign_keys, recursive_triggers));
    let before = contents(&mut connection);
    assert_eq!(
        word(&mut connection, "SELECT CAST(foreign_keys AS TEXT) AS word FROM pragma_foreign_keys"),
        flag(foreign_keys)
    );
    assert_eq!(
        word(&mut connection, "SELECT CAST(recursive_triggers AS TEXT) AS word FROM pragma_recursive_triggers"),
        flag(recursive_triggers)
    );
    let mut wrong = Vec::new();
    for (attack, rule) in attacks(&mut connection) {
        let answer = connection.batch_execute(&scene.sql(&attack));
        match answer {
            Err(error) if error.to_string().contains(rule) => {}
            // It is left out without a word.
            Ok(()) if attack.contains("OR IGNORE") => {}
            answer => wrong.push(format!("{attack}: {answer:?} instead of: {rule}")),
        }
        if contents(&mut connection) != before {
            wrong.push(format!("{attack}: changed something"));
            break;
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    scene.books.prove().await;
}

/// Were a rule missing, an attack would get through: so each is needed, and the attacks can tell.
#[tokio::test]
async fn without_any_one_trigger_an_attack_gets_through() {
    let scene = Scene::set_on(Pair::Embedded).await;
    let mut connection = scene.stranger(&pragmas("OFF", "OFF"));
    let before = contents(&mut connection);
    let attacks: Vec<String> = attacks(&mut connection).into_iter().map(|(attack, _)| scene.sql(&attack)).collect();
    let tables = APPEND_ONLY.map(|(table, _)| format!("'{table}'")).join(", ");
    let of_money = format!("type = 'trigger' AND tbl_name IN ({tables}, 'accounts')");
    let triggers =
        words(&mut connection, &format!("SELECT name AS word FROM sqlite_master WHERE {of_money} ORDER BY name"));
    assert!(triggers.len() > 20, "{triggers:?}");
    for trigger in triggers {
        let gets_through = |attack: &String| {
            connection.batch_execute(&format!("BEGIN; DROP TRIGGER {trigger}")).unwrap();
            // An update that sets what was there before gets through as well.
            let passed = connection.batch_execute(attack).is_ok() && !attack.contains("OR IGNORE");
            // Fails where the attack has ended the transaction.
            let _ = connection.batch_execute("ROLLBACK");
            passed
        };
        assert!(attacks.iter().any(gets_through), "nothing needs {trigger}");
    }
    assert_eq!(contents(&mut connection), before);
}

/// A hidden key would be another key to replace a row by.
#[tokio::test]
async fn no_table_of_money_has_a_hidden_key() {
    let scene = Scene::set_on(Pair::Embedded).await;
    let mut connection = scene.stranger("");
    for table in APPEND_ONLY.map(|(table, _)| table).into_iter().chain(["accounts"]) {
        for key in ["rowid", "oid", "_rowid_"] {
            let answer =
                connection.batch_execute(&format!("SELECT {key} FROM {table}")).map_err(|error| error.to_string());
            assert!(
                answer.as_ref().is_err_and(|error| error.contains("no such column")),
                "{key} of {table}: {answer:?}"
            );
        }
    }
}

#[rstest]
#[tokio::test]
async fn what_only_a_foreign_key_refuses(#[values("ON", "OFF")] recursive_triggers: &str) {
    let scene = Scene::set_on(Pair::Embedded).await;
    let mut connection = scene.stranger(&pragmas("ON", recursive_triggers));
    let before = contents(&mut connection);
    for (attack, _, _) in FOREIGN {
        for verb in ["INSERT INTO", "INSERT OR REPLACE INTO", "INSERT OR IGNORE INTO"] {
            let attack = scene.sql(attack).replacen("INSERT INTO", verb, 1);
            let answer = connection.batch_execute(&attack).map_err(|error| error.to_string());
            assert!(
                answer.as_ref().is_err_and(|error| error.contains("FOREIGN KEY constraint failed")),
                "{attack}: {answer:?}"
            );
            assert_eq!(contents(&mut connection), before, "{attack}");
        }
    }
}

#[tokio::test]
async fn what_gets_through_without_foreign_keys_is_found() {
    for (attack, check, subject) in FOREIGN {
        let scene = Scene::set_on(Pair::Embedded).await;
        scene.stranger(&pragmas("OFF", "OFF")).batch_execute(&scene.sql(attack)).unwrap();
        let report = ledger::audit(&scene.books.database, &scene.books.clock).await.unwrap();
        let found = report
            .violations
            .iter()
            .any(|violation| violation.check == *check && violation.subject == scene.subject(subject));
        assert!(found && !report.ok, "{attack}: {:?}", report.violations);
    }
}

/// All attacks that are refused with and without foreign keys, with the rule that refuses them.
fn attacks(connection: &mut Connection) -> Vec<(String, &'static str)> {
    let mut attacks: Vec<(String, &'static str)> =
        SINGLE.iter().map(|(attack, rule)| ((*attack).to_owned(), *rule)).collect();
    for (table, column, row, rule) in COLLIDING {
        let fill = |way: &str| way.replace("TABLE", table).replace("ROW", row).replace("COLUMN", column);
        attacks.extend(INSERT.map(|way| (fill(way), *rule)));
    }
    for (table, rule) in APPEND_ONLY {
        for column in columns(connection, table) {
            attacks.extend(ALTER.map(|way| (way.replace("TABLE", table).replace("COLUMN", &column), rule)));
        }
        attacks.push((format!("DELETE FROM {table}"), rule));
    }
    attacks
}

fn pragmas(foreign_keys: &str, recursive_triggers: &str) -> String {
    format!("PRAGMA foreign_keys = {foreign_keys}; PRAGMA recursive_triggers = {recursive_triggers};")
}

fn flag(word: &str) -> &'static str {
    if word == "ON" { "1" } else { "0" }
}

/// Every value of every row, as text.
fn contents(connection: &mut Connection) -> Vec<String> {
    let tables = APPEND_ONLY.map(|(table, _)| table).into_iter().chain(["accounts"]);
    let mut rows = Vec::new();
    for table in tables {
        let values: Vec<String> = columns(connection, table).iter().map(|column| format!("quote({column})")).collect();
        rows.extend(words(
            connection,
            &format!("SELECT '{table} ' || {} AS word FROM {table}", values.join(" || ' ' || ")),
        ));
    }
    rows
}

fn columns(connection: &mut Connection, table: &str) -> Vec<String> {
    words(connection, &format!("SELECT name AS word FROM pragma_table_info('{table}')"))
}

fn word(connection: &mut Connection, query: &str) -> String {
    words(connection, query).remove(0)
}
