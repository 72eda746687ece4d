use serde_json::json;

use super::SEEN;
use crate::support::{Place, Server};

#[test]
fn create_and_list() {
    let place = Place::new();
    place.command(&["migrate"]).ok();
    assert_eq!(place.command(&["tenant", "list"]).ok(), json!([]));
    assert_eq!(place.command(&["tenant", "create", "acme"]).ok(), json!({"id": 1001, "name": "acme"}));
    assert_eq!(place.command(&["tenant", "create", "小一"]).ok(), json!({"id": 1002, "name": "小一"}));
    assert_eq!(place.command(&["tenant", "create", "acme"]).failed(1).0, "tenant_exists");
    assert_eq!(place.command(&["tenant", "create", ""]).failed(1).0, "bad_tenant_name");
    assert_eq!(place.command(&["tenant", "suspend", "nobody"]).failed(1).0, "unknown_tenant");
    let listed = place.command(&["tenant", "list"]).ok();
    assert_eq!(listed, json!([{"id": 1001, "name": "acme"}, {"id": 1002, "name": "小一"}]));
}

#[test]
fn a_person_reads_sentences_and_tables() {
    let place = Place::new();
    place.command(&["migrate"]).ok();
    let (status, stdout, stderr) = place.spoken(&["tenant", "create", "acme"]);
    assert_eq!((status, stderr.as_str()), (0, ""));
    assert!(stdout.contains("acme is made (id 1001)"), "{stdout}");
    assert_eq!(place.spoken(&["tenant", "list"]).1, "  ID  NAME  STATE\n1001  acme  active\n");
    let (status, stdout, stderr) = place.spoken(&["tenant", "create", "acme"]);
    assert_eq!((status, stdout.as_str()), (1, ""));
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[tokio::test]
async fn a_suspended_tenant_is_refused_until_it_is_resumed() {
    let server = Server::start();
    let key = server.customer("acme");
    assert_eq!(server.get("/v1/balance", &key).await.status, 200);

    let suspended = server.command(&["tenant", "suspend", "acme"]).ok();
    assert_eq!(suspended["name"], "acme");
    let since = suspended["suspended_at"].as_str().unwrap().to_owned();
    server.within(SEEN, "the suspension", async || server.get("/v1/balance", &key).await.status == 403).await;
    assert_eq!(server.get("/v1/balance", &key).await.json["error"]["code"], "tenant_suspended");
    let again = server.command(&["tenant", "suspend", "acme"]).ok();
    assert_eq!(again["suspended_at"], since.as_str(), "suspended twice is suspended since the first time");

    assert_eq!(server.command(&["tenant", "resume", "acme"]).ok(), json!({"id": 1001, "name": "acme"}));
    server.within(SEEN, "the resumption", async || server.get("/v1/balance", &key).await.status == 200).await;
}
