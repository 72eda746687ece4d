//! Attempts to break the ledger by SQL on PostgreSQL: what a mistaken program or hand could send, as the owner of the tables and as the
//! service's own role. The database refuses each by itself, and every rule of it is needed.

use diesel::connection::SimpleConnection;
use rstest::rstest;
use shared::db::Connection;
use testkit::Pair;

use self::table::{APPEND_ONLY, COLLIDING, KEY, SINGLE};
use super::role::ServiceRole;
use crate::ledger::scene::Scene;
use crate::place::words;

mod table;

/// Ways to insert a row that collides: the words, and whether it is refused (else it is left out without a word).
const INSERT: [(&str, bool); 4] = [
    ("INSERT INTO TABLE VALUES ROW", true),
    ("INSERT INTO TABLE OVERRIDING SYSTEM VALUE VALUES ROW", true),
    ("INSERT INTO TABLE VALUES ROW ON CONFLICT DO NOTHING", false),
    ("MERGE INTO TABLE USING (VALUES (1)) v (one) ON FALSE WHEN NOT MATCHED THEN INSERT VALUES ROW", true),
];
const OVERWRITE: &str = "INSERT INTO TABLE VALUES ROW ON CONFLICT KEY DO UPDATE SET COLUMN = excluded.COLUMN";
/// Every way to change or remove rows.
const ALTER: [&str; 6] = [
    "UPDATE TABLE SET COLUMN = COLUMN",
    "UPDATE ONLY TABLE SET COLUMN = NULL",
    "UPDATE TABLE t SET COLUMN = other.COLUMN FROM TABLE AS other",
    "DELETE FROM TABLE WHERE COLUMN IS NOT DISTINCT FROM COLUMN",
    "WITH gone AS (DELETE FROM TABLE RETURNING COLUMN) SELECT count(*) FROM gone",
    "MERGE INTO TABLE t USING TABLE s ON t.KEY = s.KEY WHEN MATCHED THEN UPDATE SET COLUMN = s.COLUMN",
];
const REMOVE: [&str; 5] = [
    "DELETE FROM TABLE",
    "TRUNCATE TABLE_",
    "TRUNCATE ONLY TABLE_ RESTART IDENTITY",
    "TRUNCATE TABLE_ CASCADE",
    "MERGE INTO TABLE t USING TABLE s ON t.KEY = s.KEY WHEN MATCHED THEN DELETE",
];
/// What only an owner or a superuser may do at all.
const BEYOND: &[&str] = &[
    "ALTER TABLE lines DISABLE TRIGGER ALL",
    "ALTER TABLE lines DISABLE TRIGGER lines_no_change",
    "ALTER TABLE settlements DROP CONSTRAINT settlements_pkey",
    "DROP TRIGGER settlements_refer ON settlements",
    "DROP TABLE charges",
    "DROP FUNCTION refuse_change() CASCADE",
    "ALTER FUNCTION check_lines() RESET ALL",
    "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "CREATE TRIGGER a BEFORE INSERT ON lines FOR EACH ROW EXECUTE FUNCTION refuse_change()",
    "CREATE RULE a AS ON INSERT TO lines DO INSTEAD NOTHING",
    "SET session_replication_role = replica",
    "CREATE TABLE public.mine (id BIGINT)",
    "CREATE TEMPORARY TABLE accounts (id BIGINT)",
    "UPDATE accounts SET id = id",
    "UPDATE accounts SET kind = kind",
    "UPDATE prices SET prompt = 0",
    "UPDATE tenants SET name = 'x'",
    "UPDATE keys SET hash = 'x'",
    "DELETE FROM tenants",
    "DELETE FROM keys",
    "UPDATE code_batches SET value = 1",
    "UPDATE codes SET hash = hash",
    "DELETE FROM codes",
    "DELETE FROM code_batches",
    "UPDATE redemptions SET tenant = 1002",
    "DELETE FROM redemptions",
    "TRUNCATE redemptions",
    "UPDATE tenant_notes SET text = 'x'",
    "DELETE FROM tenant_notes",
    "UPDATE blocked_users SET end_user = 'x'",
    "DELETE FROM facts",
    "ALTER TABLE audit_log DISABLE TRIGGER ALL",
    "DELETE FROM staff",
    "UPDATE staff SET email = 'x@y'",
    "UPDATE staff_sessions SET staff = 1",
    "UPDATE staff_invitations SET expires_at = 0",
    "INSERT INTO epoch VALUES (1, 0)",
    "INSERT INTO __diesel_schema_migrations (version) VALUES ('1')",
];
const DENIED: [&str; 2] = ["permission denied", "must be owner"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attacker {
    Owner,
    ServiceRole,
}

#[rstest]
#[tokio::test]
async fn every_attack_is_refused_and_changes_nothing(
    #[values(Attacker::Owner, Attacker::ServiceRole)] attacker: Attacker,
) {
    let scene = Scene::set_on(Pair::Servers).await;
    let mut owner = scene.stranger("");
    let role = ServiceRole::make(scene.books.database.url());
    let mut connection = match attacker {
        Attacker::Owner => scene.stranger(""),
        Attacker::ServiceRole => crate::place::bare_connection(&role.url),
    };
    let before = contents(&mut owner);
    let mut wrong = Vec::new();
    for (attack, rule) in attacks(&mut owner) {
        let answer = connection.batch_execute(&scene.sql(&attack)).map_err(|error| error.to_string());
        let is_right = match (&answer, rule) {
            (Ok(()), None) => true,
            (Err(error), Some(rule)) if error.contains(rule) => true,
            (Err(error), _) => attacker == Attacker::ServiceRole && DENIED.iter().any(|denied| error.contains(denied)),
            (Ok(()), Some(_)) => false,
        };
        if !is_right {
            wrong.push(format!("{attack}: {answer:?} instead of: {rule:?}"));
        }
        if contents(&mut owner) != before {
            wrong.push(format!("{attack}: changed something"));
            break;
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    scene.books.prove().await;
}

/// What the triggers refuse to everybody, the role has no right to in the first place.
#[tokio::test]
async fn the_services_role_may_change_nothing_that_was_booked() {
    let scene = Scene::set_on(Pair::Servers).await;
    let role = ServiceRole::make(scene.books.database.url());
    let mut owner = scene.stranger("");
    let alterations: Vec<String> = alterations(&mut owner).into_iter().map(|(attack, _)| attack).collect();
    assert!(alterations.len() > 300, "{}", alterations.len());
    let beyond = BEYOND.iter().map(|attack| (*attack).to_owned());
    let mut connection = crate::place::bare_connection(&role.url);
    for attack in alterations.into_iter().chain(beyond) {
        let answer = connection.batch_execute(&scene.sql(&attack)).map_err(|error| error.to_string());
        let is_denied = matches!(&answer, Err(error) if DENIED.iter().any(|denied| error.contains(denied)));
        assert!(is_denied, "{attack}: {answer:?}");
    }
}

/// Were a rule missing, an attack would get through: so each is needed, and the attacks can tell.
#[tokio::test]
async fn without_any_one_rule_an_attack_gets_through() {
    let scene = Scene::set_on(Pair::Servers).await;
    let mut connection = scene.stranger("");
    let before = contents(&mut connection);
    let attacks: Vec<String> =
        attacks(&mut connection).into_iter().filter_map(|(attack, rule)| rule.map(|_| scene.sql(&attack))).collect();
    let rules = rules(&mut connection);
    assert!(rules.len() > 60, "{rules:?}");
    let mut needless = Vec::new();
    for (table, removal) in rules {
        connection.batch_execute(&format!("BEGIN; {removal}")).unwrap();
        let is_needed = attacks.iter().filter(|attack| attack.contains(&table)).any(|attack| {
            connection.batch_execute("SAVEPOINT before_the_attack").unwrap();
            let passed = connection.batch_execute(attack).is_ok();
            connection.batch_execute("ROLLBACK TO before_the_attack").unwrap();
            passed
        });
        connection.batch_execute("ROLLBACK").unwrap();
        if !is_needed {
            needless.push(removal);
        }
    }
    assert!(needless.is_empty(), "nothing needs {needless:#?}");
    assert_eq!(contents(&mut connection), before);
}

/// Every trigger, key, foreign key and check of the tables of money, with its table and the SQL that takes it away.
fn rules(connection: &mut Connection) -> Vec<(String, String)> {
    let query = format!(
        "SELECT word FROM (\
         SELECT tgrelid::regclass || '|DROP TRIGGER ' || tgname || ' ON ' || tgrelid::regclass AS word FROM pg_trigger \
         WHERE NOT tgisinternal AND tgrelid = ANY({TABLES}) UNION ALL \
         SELECT conrelid::regclass || '|ALTER TABLE ' || conrelid::regclass || ' DROP CONSTRAINT ' || conname || ' CASCADE' \
         FROM pg_constraint WHERE conrelid = ANY({TABLES}) AND contype IN ('c', 'f', 'p', 'u') UNION ALL \
         SELECT indrelid::regclass || '|DROP INDEX ' || indexrelid::regclass FROM pg_index \
         WHERE indrelid = ANY({TABLES}) AND indisunique \
         AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = indexrelid)) AS rules ORDER BY word"
    );
    let split =
        |word: String| word.split_once('|').map(|(table, removal)| (table.to_owned(), removal.to_owned())).unwrap();
    words(connection, &query).into_iter().map(split).collect()
}

const TABLES: &str =
    "ARRAY['accounts', 'holds', 'settlements', 'transfers', 'lines', 'charges', 'prices', 'audit_log']::regclass[]";

/// All attacks, with the rule that refuses each; none where it must be left out without a word.
fn attacks(connection: &mut Connection) -> Vec<(String, Option<&'static str>)> {
    let mut attacks: Vec<(String, Option<&'static str>)> =
        SINGLE.iter().map(|(attack, rule)| ((*attack).to_owned(), Some(*rule))).collect();
    for (table, key, column, row) in COLLIDING {
        let fill =
            |way: &str| way.replace("TABLE", table).replace("ROW", row).replace("KEY", key).replace("COLUMN", column);
        attacks.extend(INSERT.map(|(way, is_refused)| (fill(way), is_refused.then_some(KEY))));
        let append_only = APPEND_ONLY.iter().find(|(known, _, _)| known == table).map(|(_, _, rule)| *rule);
        // A row of `accounts` may be overwritten by what it has.
        if let Some(rule) = append_only {
            attacks.push((fill(OVERWRITE), Some(rule)));
        }
    }
    attacks.extend(alterations(connection).into_iter().map(|(attack, rule)| (attack, Some(rule))));
    attacks
}

fn alterations(connection: &mut Connection) -> Vec<(String, &'static str)> {
    let mut attacks = Vec::new();
    for (table, key, rule) in APPEND_ONLY {
        let fill = |way: &str| way.replace("TABLE_", table).replace("TABLE", table).replace("KEY", key);
        for column in columns(connection, table) {
            attacks.extend(ALTER.map(|way| (fill(way).replace("COLUMN", &column), rule)));
        }
        attacks.extend(REMOVE.map(|way| (fill(way), rule)));
    }
    attacks
}

/// Every value of every row, as text.
fn contents(connection: &mut Connection) -> Vec<String> {
    let tables = APPEND_ONLY.map(|(table, _, _)| table).into_iter().chain(["accounts"]);
    let rows = tables.map(|table| format!("SELECT '{table} ' || t::text AS word FROM public.{table} t"));
    words(connection, &format!("{} ORDER BY word", rows.collect::<Vec<_>>().join(" UNION ALL ")))
}

fn columns(connection: &mut Connection, table: &str) -> Vec<String> {
    let query = "SELECT attname::text AS word FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped AND attrelid =";
    words(connection, &format!("{query} '{table}'::regclass ORDER BY attnum"))
}
