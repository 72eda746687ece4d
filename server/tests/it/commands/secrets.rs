use crate::support::{Place, Server};

const OLD: &str = "b2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2w=";
const NEW: &str = "bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmU=";

#[test]
fn rotation_needs_both_secrets() {
    let mut place = Place::with(&[("XIAOYI_SECRET_KEY", OLD)]);
    place.command(&["migrate"]).ok();
    assert!(!place.data().join("secret.key").exists(), "a given secret is written nowhere");
    let (code, message) = place.command(&["secret", "rotate"]).failed(1);
    assert_eq!(code, "one_secret");
    assert!(message.contains("NEW,OLD") && !message.contains(OLD), "{message}");
    place.set("XIAOYI_SECRET_KEY", NEW);
    assert_eq!(place.command(&["tenant", "list"]).failed(1).0, "wrong_secret");
    place.set("XIAOYI_SECRET_KEY", "short");
    let (code, message) = place.command(&["tenant", "list"]).failed(1);
    assert_eq!(code, "bad_secret");
    assert!(!message.contains("short"), "{message}");
}

#[tokio::test]
async fn after_a_rotation_only_the_new_secret_opens_and_keys_stay_valid() {
    let mut server = Server::start_with(&[("XIAOYI_SECRET_KEY", OLD)]);
    server.echo("gpt-3.5").await;
    let key = server.customer("acme");
    let add = ["channel", "add", "--name", "sealed", "--type", "openai", "--models", "other", "--api-key-stdin"];
    server.place.command_with(&add, &[], "sk-provider").ok();
    server.terminate();

    server.place.set("XIAOYI_SECRET_KEY", &format!("{NEW},{OLD}"));
    let first = server.command(&["secret", "rotate"]).ok();
    assert_eq!((&first["installation"], &first["channels"], &first["resealed"]), (&2.into(), &1.into(), &3.into()));
    assert_eq!(server.command(&["secret", "rotate"]).ok(), first, "twice does no harm");
    server.place.set("XIAOYI_SECRET_KEY", OLD);
    assert_eq!(server.command(&["tenant", "list"]).failed(1).0, "wrong_secret");
    server.place.set("XIAOYI_SECRET_KEY", NEW);
    server.restart();
    assert_eq!(server.chat(&key, "gpt-3.5", "hello").await.status, 200);
}

#[test]
fn the_key_file_rotates_too() {
    let place = Place::embedded(&[]);
    place.command(&["migrate"]).ok();
    let path = place.data().join("secret.key");
    let old = std::fs::read_to_string(&path).unwrap();
    assert_eq!(place.command(&["secret", "rotate"]).failed(1).0, "one_secret");
    std::fs::write(&path, format!("{NEW},{}\n", old.trim())).unwrap();
    place.command(&["secret", "rotate"]).ok();
    std::fs::write(&path, NEW).unwrap();
    place.command(&["tenant", "list"]).ok();
    std::fs::write(&path, old).unwrap();
    assert_eq!(place.command(&["tenant", "list"]).failed(1).0, "wrong_secret");
}

#[test]
fn a_lost_secret_is_not_replaced() {
    let place = Place::embedded(&[]);
    place.command(&["migrate"]).ok();
    let path = place.data().join("secret.key");
    std::fs::remove_file(&path).unwrap();
    for command in [&["serve"][..], &["migrate"]] {
        assert_eq!(place.command(command).failed(1).0, "secret_lost");
        assert!(!path.exists(), "{command:?} made a new secret for an old database");
    }
    assert_eq!(place.command(&["tenant", "list"]).failed(1).0, "secret_lost");
}
