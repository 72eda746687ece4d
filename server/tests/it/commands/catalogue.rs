use serde_json::{Value, json};

use super::SEEN;
use crate::support::{Place, Server};

const ECHO: [&str; 8] = ["channel", "add", "--name", "echo", "--type", "echo", "--models", "gpt-4=x,m"];

fn prepared() -> Place {
    let place = Place::new();
    place.command(&["migrate"]).ok();
    place
}

#[test]
fn a_channel_is_added_listed_and_switched() {
    let place = prepared();
    let added = place.command(&ECHO).ok();
    let expected = json!({"id": 1, "name": "echo", "type": "echo", "base_url": "echo:", "has_api_key": false,
        "models": {"gpt-4": "x", "m": "m"}, "priority": 100, "weight": 1, "enabled": true});
    assert_eq!(added, expected);
    assert_eq!(place.command(&ECHO).failed(1).0, "channel_exists");
    assert_eq!(place.command(&["channel", "disable", "echo"]).ok()["enabled"], false);
    assert_eq!(place.command(&["channel", "list"]).ok()[0]["enabled"], false);
    assert_eq!(place.command(&["channel", "enable", "echo"]).ok(), expected);
    assert_eq!(place.command(&["channel", "disable", "other"]).failed(1).0, "unknown_channel");
}

#[test]
fn a_providers_key_comes_from_a_variable_or_the_standard_input_and_is_never_shown() {
    let place = prepared();
    let add = |name: &str, source: &[&str]| {
        let arguments =
            [&["channel", "add", "--name", name, "--type", "openai", "--models", "gpt-4=gpt-4o"], source].concat();
        place.command_with(&arguments, &[("PROVIDER_KEY", "sk-provider-secret")], "sk-stdin-secret\n")
    };
    for (name, source) in [("a", &["--api-key-env", "PROVIDER_KEY"][..]), ("b", &["--api-key-stdin"])] {
        let output = add(name, source);
        assert!(!output.stdout.contains("secret") && !output.stderr.contains("secret"));
        let added = output.ok();
        assert_eq!((&added["has_api_key"], &added["base_url"]), (&true.into(), &"https://api.openai.com/v1".into()));
    }
    assert_eq!(add("c", &[]).ok()["has_api_key"], false);
    assert_eq!(add("d", &["--api-key-env", "NOT_SET"]).failed(1).0, "no_api_key");
    assert_eq!(add("d", &["--api-key-env", "PROVIDER_KEY", "--api-key-stdin"]).failed(2).0, "usage");
    let (code, message) = add("d", &["--api-key", "sk-in-sight"]).failed(2);
    assert_eq!(code, "usage");
    assert!(!message.contains("sk-in-sight"), "{message}");
    assert!(!place.command(&["channel", "list"]).stdout.contains("secret"));
    for file in ["xiaoyi.db", "xiaoyi.db-wal"] {
        let bytes = std::fs::read(place.data().join(file)).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&bytes).contains("provider-secret"), "{file} holds the key in plain text");
    }
}

#[test]
fn an_address_that_must_not_be_called_is_refused() {
    let place = prepared();
    for base_url in ["http://169.254.169.254/v1", "ftp://example.com", "http://user:word@example.com/"] {
        let added = place.command(&[
            "channel",
            "add",
            "--name",
            "a",
            "--type",
            "openai",
            "--models",
            "m",
            "--base-url",
            base_url,
        ]);
        let (code, message) = added.failed(1);
        assert_eq!(code, "bad_base_url");
        assert!(!message.contains("word@"), "{message}");
    }
    let echo = place.command(&[
        "channel",
        "add",
        "--name",
        "a",
        "--type",
        "echo",
        "--models",
        "m",
        "--base-url",
        "http://local",
    ]);
    assert_eq!(echo.failed(1).0, "bad_base_url");
}

#[test]
fn a_channel_is_tested() {
    let place = prepared();
    place.command(&ECHO).ok();
    let test = place.command(&["channel", "test", "echo"]).ok();
    let fields: Vec<&String> = test.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["ok", "model", "answer", "milliseconds"]);
    assert_eq!((&test["ok"], &test["model"]), (&true.into(), &"gpt-4".into()));
    assert!(test["answer"].as_str().unwrap().contains("pong"), "{test}");
    assert_eq!(place.command(&["channel", "test", "echo", "--model", "m"]).ok()["model"], "m");
    assert_eq!(place.command(&["channel", "test", "echo", "--model", "other"]).failed(1).0, "unknown_model");
    assert_eq!(place.command(&["channel", "test", "other"]).failed(1).0, "unknown_channel");

    // A channel without a model that chats is asked for what its models are for.
    let models = "text-embedding-3-small=a,omni-moderation-latest=b";
    place.command(&["channel", "add", "--name", "vectors", "--type", "echo", "--models", models]).ok();
    let answer = |model: &str| place.command(&["channel", "test", "vectors", "--model", model]).ok()["answer"].clone();
    assert_eq!(answer("text-embedding-3-small"), "an embedding");
    assert_eq!(answer("omni-moderation-latest"), "a judgement");
    assert_eq!(place.command(&["channel", "test", "vectors"]).ok()["ok"], true);

    // A port that was free a moment ago answers nobody.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let base_url = format!("http://127.0.0.1:{port}/v1");
    place
        .command(&["channel", "add", "--name", "dead", "--type", "openai", "--base-url", &base_url, "--models", "m"])
        .ok();
    assert_eq!(place.command(&["channel", "test", "dead"]).failed(1).0, "channel_test_failed");
}

#[tokio::test]
async fn a_running_server_sees_channels_within_a_second() {
    let server = Server::start();
    let key = server.customer("acme");
    assert_eq!(server.chat(&key, "m", "hello").await.status, 404);
    server.command(&ECHO).ok();
    server.within(SEEN, "the new channel", async || server.chat(&key, "m", "hello").await.status == 200).await;
    server.command(&["channel", "disable", "echo"]).ok();
    server.within(SEEN, "the disabled channel", async || server.chat(&key, "m", "hello").await.status != 200).await;
}

#[test]
fn prices_say_where_the_default_counts() {
    let place = prepared();
    place.command(&ECHO).ok();
    let listed = place.command(&["price", "list"]).ok();
    let models: Vec<&Value> = listed.as_array().unwrap().iter().map(|price| &price["model"]).collect();
    assert_eq!(models, ["gpt-4", "m"]);
    assert!(listed.as_array().unwrap().iter().all(|price| price["default"] == true && price["prompt"] == "10.00"));

    let set = place
        .command(&["price", "set", "gpt-4", "--prompt", "3.50", "--completion", "10.50", "--image", "1024x1024=0.20"])
        .ok();
    assert_eq!(
        (&set["model"], &set["prompt"], &set["completion"], &set["default"]),
        (&"gpt-4".into(), &"3.50".into(), &"10.50".into(), &false.into())
    );
    assert_eq!(
        (&set["images"], &set["image"], &set["basis"]),
        (&json!({"1024x1024": "0.20"}), &"0.30".into(), &"estimate".into())
    );
    let again =
        place.command(&["price", "set", "gpt-4", "--prompt", "4", "--completion", "11", "--basis", "upstream"]).ok();
    assert_eq!((&again["images"], &again["basis"]), (&json!({"1024x1024": "0.20"}), &"upstream".into()));
    place.command(&["price", "set", "later", "--prompt", "0", "--completion", "0"]).ok();
    let listed = place.command(&["price", "list"]).ok();
    assert_eq!(listed.as_array().unwrap().len(), 3);
    assert_eq!(listed[0], again);
    assert!(place.spoken(&["price", "list"]).1.contains("default price"));
}

#[test]
fn image_prices_stand_behind_one_option_or_several() {
    let place = prepared();
    let set = |images: &[&str]| {
        let arguments = [&["price", "set", "dall-e-3", "--prompt", "0", "--completion", "0"], images].concat();
        let set = place.command(&arguments).ok();
        (set["images"].clone(), set["image"].clone())
    };
    let sizes = json!({"1024x1024": "0.20", "512x512": "0.10"});
    assert_eq!(set(&["--image", "1024x1024=0.20", "512x512=0.1"]), (sizes.clone(), "0.30".into()));
    assert_eq!(set(&["--image", "0.5", "--image", "512x512=0.1"]), (sizes, "0.50".into()));
    let (_, help, _) = place.spoken(&["price", "set", "--help"]);
    assert!(help.contains("Usage: xiaoyi price set <MODEL> --prompt"), "{help}");
}

#[tokio::test]
async fn a_running_server_charges_a_new_price_within_a_second() {
    let server = Server::start();
    server.echo("gpt-3.5").await;
    let key = server.customer("acme");
    assert_eq!(server.chat(&key, "gpt-3.5", "hello").await.status, 200);
    let newest = async || server.get("/v1/ledger?limit=1", &key).await.json["data"][0]["amount"].clone();
    // One word each way: 1 token each, at 10 and 30 per million.
    assert_eq!(newest().await, "-0.00004");
    server.command(&["price", "set", "gpt-3.5", "--prompt", "1.00", "--completion", "2.00"]).ok();
    server
        .within(SEEN, "the new price", async || {
            assert_eq!(server.chat(&key, "gpt-3.5", "hello").await.status, 200);
            newest().await == "-0.000003"
        })
        .await;
}
