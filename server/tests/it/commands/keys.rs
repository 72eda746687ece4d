use serde_json::Value;

use super::SEEN;
use crate::support::{IssuedKey, Place, Server};

fn fields(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn issue_shows_the_secret_and_list_never_does() {
    let place = Place::new();
    place.command(&["migrate"]).ok();
    place.command(&["tenant", "create", "acme"]).ok();
    let output = place.command(&[
        "key",
        "issue",
        "--tenant",
        "acme",
        "--name",
        "ci",
        "--expires",
        "30d",
        "--models",
        "gpt-4,m",
        "--console",
        "tenant",
    ]);
    assert!(output.stderr.contains("no enabled channel serves gpt-4"), "{}", output.stderr);
    let issued = output.ok();
    assert_eq!(
        fields(&issued),
        [
            "id",
            "secret",
            "tenant",
            "name",
            "models",
            "console",
            "ips",
            "rpm",
            "tpm",
            "concurrency",
            "expires_at",
            "last_four",
            "created_at"
        ]
    );
    let (id, secret) = (issued["id"].as_str().unwrap(), issued["secret"].as_str().unwrap());
    assert_eq!(secret.len(), 68);
    assert!(secret.starts_with(&format!("sk-xy{id}")));
    assert!(secret.ends_with(issued["last_four"].as_str().unwrap()));
    assert_eq!(issued["models"], serde_json::json!(["gpt-4", "m"]));
    assert_eq!(
        (&issued["tenant"], &issued["name"], &issued["console"]),
        (&"acme".into(), &"ci".into(), &"tenant".into())
    );

    let listed = place.command(&["key", "list", "--tenant", "acme"]);
    assert!(!listed.stdout.contains(secret) && !listed.stdout.contains(&secret[17..60]));
    let listed = listed.ok();
    assert_eq!(
        fields(&listed[0]),
        [
            "id",
            "tenant",
            "name",
            "models",
            "console",
            "ips",
            "rpm",
            "tpm",
            "concurrency",
            "expires_at",
            "grace_until",
            "last_four",
            "revoked_at",
            "created_at"
        ]
    );
    assert_eq!((&listed[0]["id"], &listed[0]["revoked_at"]), (&issued["id"], &Value::Null));
}

#[test]
fn what_cannot_be_issued_is_refused() {
    let place = Place::new();
    place.command(&["migrate"]).ok();
    place.command(&["tenant", "create", "acme"]).ok();
    assert_eq!(place.command(&["key", "issue", "--tenant", "nobody"]).failed(1).0, "unknown_tenant");
    assert_eq!(
        place.command(&["key", "issue", "--tenant", "acme", "--expires", "2020-01-01T00:00:00Z"]).failed(2).0,
        "usage"
    );
    assert_eq!(place.command(&["key", "revoke", "000000000000"]).failed(1).0, "unknown_key");
    assert_eq!(place.command(&["key", "rotate", "000000000000"]).failed(1).0, "unknown_key");
    assert_eq!(place.command(&["key", "list", "--tenant", "acme"]).ok(), serde_json::json!([]));
}

#[tokio::test]
async fn a_running_server_sees_new_and_revoked_keys_within_a_second() {
    let server = Server::start();
    server.command(&["tenant", "create", "acme"]).ok();
    let key = server.issue(&["--tenant", "acme"]);
    server.within(SEEN, "the new key", async || server.get("/v1/balance", &key).await.status == 200).await;

    let revoked = server.command(&["key", "revoke", &key.id]).ok();
    assert_eq!(revoked["id"], key.id.as_str());
    server.within(SEEN, "the revocation", async || server.get("/v1/balance", &key).await.status == 401).await;
    assert_eq!(server.command(&["key", "revoke", &key.id]).ok()["revoked_at"], revoked["revoked_at"]);
    assert_eq!(server.command(&["key", "rotate", &key.id]).failed(1).0, "key_ended");
}

#[tokio::test]
async fn a_rotated_key_takes_over_and_the_old_one_ends_with_its_grace() {
    let server = Server::start();
    server.command(&["tenant", "create", "acme"]).ok();
    let old = server.issue(&["--tenant", "acme", "--models", "gpt-4", "--name", "ci"]);
    let rotated = server.command(&["key", "rotate", &old.id, "--grace", "1h"]).ok();
    assert_eq!(fields(&rotated), ["id", "secret", "expires_at", "old_id", "old_expires_at"]);
    assert_eq!(rotated["expires_at"], Value::Null, "the grace is the old key's, no expiry of the new one");
    assert_eq!(rotated["old_id"], old.id.as_str());
    let new = IssuedKey {
        id: rotated["id"].as_str().unwrap().to_owned(),
        secret: rotated["secret"].as_str().unwrap().to_owned(),
    };
    server.within(SEEN, "the new key", async || server.get("/v1/balance", &new).await.status == 200).await;
    assert_eq!(server.get("/v1/balance", &old).await.status, 200, "the old key has its grace");

    let newest = server.command(&["key", "rotate", &new.id, "--grace", "0h"]).ok();
    assert_eq!(newest["old_id"], new.id.as_str());
    server.within(SEEN, "the end of the grace", async || server.get("/v1/balance", &new).await.status == 401).await;
    let listed = server.command(&["key", "list", "--tenant", "acme"]).ok();
    for key in listed.as_array().unwrap() {
        assert_eq!((&key["name"], &key["models"]), (&"ci".into(), &serde_json::json!(["gpt-4"])));
    }
}

#[test]
fn a_rotated_key_keeps_its_expiry_beside_its_grace() {
    let place = Place::new();
    place.command(&["migrate"]).ok();
    place.command(&["tenant", "create", "acme"]).ok();
    let expires = "2099-01-01T00:00:00.000Z";
    let old = place.command(&["key", "issue", "--tenant", "acme", "--expires", expires]).ok();
    let rotated = place.command(&["key", "rotate", old["id"].as_str().unwrap(), "--grace", "1h"]).ok();
    assert_eq!(rotated["expires_at"], old["expires_at"]);
    assert_ne!(rotated["old_expires_at"], old["expires_at"]);
    let listed = place.command(&["key", "list", "--tenant", "acme"]).ok();
    let key = |id: &Value| listed.as_array().unwrap().iter().find(|key| key["id"] == *id).unwrap();
    let ends = |id: &Value| (key(id)["expires_at"].clone(), key(id)["grace_until"].clone());
    assert_eq!(ends(&old["id"]), (old["expires_at"].clone(), rotated["old_expires_at"].clone()));
    assert_eq!(ends(&rotated["id"]), (old["expires_at"].clone(), Value::Null));

    let (_, text, _) = place.spoken(&["key", "list", "--tenant", "acme"]);
    assert!(text.contains("rotated: grace until") && text.contains(old["expires_at"].as_str().unwrap()), "{text}");
    let (_, text, _) = place.spoken(&["key", "rotate", rotated["id"].as_str().unwrap()]);
    assert!(text.contains(&format!("works until {}", old["expires_at"].as_str().unwrap())), "{text}");
}
