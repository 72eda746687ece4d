//! What the commands write into the audit log: one entry a change, none for what was refused or changed nothing.

use diesel::prelude::*;
use diesel::sql_types::Text;
use serde_json::{Value, json};

use crate::support::{Place, Server};

/// The entries of a database, the oldest first: actor, action, tenant, subject, and whether there is a before and an after.
fn entries(place: &Place) -> Vec<[String; 6]> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        entry: String,
    }
    let path = place.data().join("xiaoyi.db");
    let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    let columns =
        "actor, action, COALESCE(CAST(tenant AS TEXT), ''), subject, COALESCE(before, ''), COALESCE(after, '')";
    let query = format!("SELECT json_array({columns}) AS entry FROM audit_log ORDER BY id");
    let rows: Vec<Row> = diesel::sql_query(query).load(&mut connection).unwrap();
    rows.iter().map(|row| serde_json::from_str(&row.entry).unwrap()).collect()
}

#[test]
fn every_change_by_a_command_is_written_down() {
    let place = Place::embedded(&[("KEY", "sk-provider-secret")]);
    let ok = |arguments: &[&str]| place.command(arguments).ok();
    ok(&["migrate"]);
    ok(&["tenant", "create", "acme"]);
    ok(&["tenant", "suspend", "acme"]);
    ok(&["tenant", "resume", "acme"]);
    let issued = ok(&["key", "issue", "--tenant", "acme", "--name", "ci"]);
    let key = issued["id"].as_str().unwrap();
    let rotated = ok(&["key", "rotate", key]);
    ok(&["key", "revoke", key]);
    let topup = ["topup", "--tenant", "acme", "--amount", "10.00", "--reference", "invoice-7"];
    let booked = ok(&topup);
    ok(&["channel", "add", "--name", "a", "--type", "openai", "--models", "m", "--api-key-env", "KEY"]);
    ok(&["channel", "disable", "a"]);
    ok(&["channel", "enable", "a"]);
    ok(&["price", "set", "m", "--prompt", "3.50", "--completion", "10.50"]);
    let invited = ok(&["staff", "create", "ann@example.com", "--role", "owner"]);
    ok(&["staff", "disable", "ann@example.com"]);

    let entries = entries(&place);
    let heads: Vec<[&str; 4]> = entries.iter().map(|entry| [0, 1, 2, 3].map(|at| entry[at].as_str())).collect();
    let (line, booked) = ("command line", booked["id"].as_str().unwrap());
    assert_eq!(
        heads,
        [
            [line, "tenant.create", "1001", "acme"],
            [line, "tenant.suspend", "1001", "acme"],
            [line, "tenant.resume", "1001", "acme"],
            [line, "key.issue", "1001", key],
            [line, "key.rotate", "1001", key],
            [line, "key.revoke", "1001", key],
            [line, "top_up.book", "1001", booked],
            [line, "channel.add", "", "a"],
            [line, "channel.disable", "", "a"],
            [line, "channel.enable", "", "a"],
            [line, "price.set", "", "m"],
            [line, "staff.invite", "", "ann@example.com"],
            [line, "staff.disable", "", "ann@example.com"],
        ]
    );
    let json = |entry: usize, place: usize| serde_json::from_str::<Value>(&entries[entry][place]).unwrap();
    assert_eq!(json(1, 4), json!({"id": 1001, "name": "acme"}));
    assert!(json(1, 5)["suspended_at"].is_string());
    assert_eq!(json(3, 5)["name"], "ci");
    assert_eq!(json(4, 5)["new_id"], rotated["id"]);
    assert!(json(5, 4)["revoked_at"].is_null() && json(5, 5)["revoked_at"].is_string());
    assert_eq!(json(6, 5), json!({"amount": "10.00", "reference": "invoice-7", "note": null, "posted": "10.00"}));
    assert_eq!((json(8, 4)["enabled"].as_bool(), json(8, 5)["enabled"].as_bool()), (Some(true), Some(false)));
    assert_eq!((&json(10, 4)["prompt"], &json(10, 5)["prompt"]), (&json!("10.00"), &json!("3.50")));

    let all = entries.concat().concat();
    let secrets = [&issued["secret"], &rotated["secret"], &invited["url"]].map(|secret| secret.as_str().unwrap());
    for secret in secrets.into_iter().chain(["sk-provider-secret"]) {
        // Of a key its id may be there, and of a link its beginning.
        let secret = &secret[secret.len() - 16..];
        assert!(!all.contains(secret), "{secret}");
    }
}

#[test]
fn what_changes_nothing_is_not_written_down() {
    let place = Place::embedded(&[]);
    place.command(&["migrate"]).ok();
    place.command(&["tenant", "create", "acme"]).ok();
    let topup = ["topup", "--tenant", "acme", "--amount", "10.00", "--reference", "r"];
    place.command(&topup).ok();
    let before = entries(&place);
    assert_eq!(place.command(&topup).ok()["replayed"], true);
    place.command(&["topup", "--tenant", "acme", "--amount", "11.00", "--reference", "r"]).failed(1);
    place.command(&["tenant", "create", "acme"]).failed(1);
    place.command(&["key", "revoke", "000000000000"]).failed(1);
    place.command(&["channel", "enable", "nothing"]).failed(1);
    place.command(&["staff", "disable", "nobody@example.com"]).failed(1);
    place.command(&["tenant", "list"]).ok();
    assert_eq!(entries(&place), before);
}

#[tokio::test]
async fn the_channel_that_the_server_makes_by_itself_is_the_services() {
    let environment = [("OPENAI_API_KEY", "sk-provider-secret"), ("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")];
    let server = Server::start_in(Place::embedded(&environment), &["serve"]);
    let entries = entries(&server.place);
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!(entries[0][..4], ["service", "channel.add", "", "openai"].map(str::to_owned));
    assert!(!entries[0][5].contains("sk-provider-secret"));
}
