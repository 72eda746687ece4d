use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::json;

use crate::support::{Place, Server};

/// What a dead process held is free within this time: at the next start, or, where others may serve the same database, once it was
/// silent for 30 s.
const RELEASED: Duration = Duration::from_secs(60);

#[tokio::test]
async fn the_ready_line_leads_to_every_listener() {
    let server = Server::start();
    let fields: Vec<&String> = server.ready.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["event", "role", "api", "admin", "console", "metrics"]);
    for (listener, path, expected) in [
        ("api", "/healthz", "ok"),
        ("api", "/console", "Secret Key"),
        ("admin", "/sign-in", "xiaoyi staff create"),
        ("metrics", "/healthz", "ok"),
        ("metrics", "/readyz", "\"ledger\":\"ok\""),
        ("metrics", "/metrics", "xiaoyi_info{version="),
        ("console", "", "Secret Key"),
    ] {
        let reply = server.send(server.http.get(server.address(listener, path))).await;
        assert_eq!(reply.status, 200, "{listener}{path}");
        assert!(reply.text.contains(expected), "{listener}{path}: {}", reply.text);
    }
    let page = server.send(server.http.get(server.address("admin", "/sign-in"))).await;
    assert_eq!(page.headers["x-content-type-options"], "nosniff");
    assert_eq!(server.send(server.http.get(server.url("/nowhere"))).await.json["code"], 40400);
}

#[tokio::test]
async fn links_begin_with_the_public_urls() {
    let server = Server::start_with(&[
        ("XIAOYI_PUBLIC_URL", "https://api.example.com/"),
        ("XIAOYI_ADMIN_URL", "https://panel.example.com"),
    ]);
    assert_eq!(server.ready["api"], "https://api.example.com");
    assert_eq!(server.ready["admin"], "https://panel.example.com");
    assert_eq!(server.ready["console"], "https://api.example.com/console");
}

#[tokio::test]
async fn metrics_count_calls() {
    let server = Server::start();
    server.echo("gpt-3.5").await;
    let key = server.customer("acme");
    assert_eq!(server.chat(&key, "gpt-3.5", "hello").await.status, 200);
    let metrics = server.send(server.http.get(server.address("metrics", "/metrics"))).await;
    assert!(metrics.headers["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    for name in [
        "xiaoyi_queue_waiting_jobs 0",
        "xiaoyi_ready 1",
        "xiaoyi_queue_wait_seconds_bucket{",
        "xiaoyi_channel_calls_total{",
    ] {
        assert!(metrics.text.contains(name), "no {name}:\n{}", metrics.text);
    }
    assert!(!metrics.text.contains(&key.secret) && !server.log().contains(&key.secret));
}

#[test]
fn a_second_server_is_refused() {
    let server = Server::start_in(Place::embedded(&[]), &["serve"]);
    let (code, message) = server.command(&["serve"]).failed(1);
    assert_eq!(code, "already_running");
    assert!(message.contains("xiaoyi.db"), "{message}");
}

#[test]
fn a_port_in_use_gives_one_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let place = Place::with(&[("XIAOYI_API_LISTEN", &address)]);
    let (status, stdout, stderr) = place.spoken(&["serve"]);
    assert_eq!((status, stdout.as_str(), stderr.lines().count()), (1, "", 1), "{stderr}");
    assert!(stderr.contains(&address) && stderr.contains("XIAOYI_API_LISTEN"), "{stderr}");
    assert!(!place.data().exists(), "a server that cannot listen touches nothing");
}

#[test]
fn serve_is_what_happens_without_a_name() {
    let mut server = Server::start_in(Place::embedded(&[]), &[]);
    let secret = server.place.data().join("secret.key");
    assert_eq!(std::fs::metadata(secret).unwrap().permissions().mode() & 0o777, 0o600);
    server.terminate();
}

#[tokio::test]
async fn a_running_call_is_finished_before_the_end() {
    let mut server = Server::start();
    server.echo_at("echo://local?delay_ms=700", "slow").await;
    let key = server.customer("acme");
    let body = json!({"model": "slow", "messages": [{"role": "user", "content": "hello"}]});
    let request = server.http.post(server.url("/v1/chat/completions")).bearer_auth(&key.secret).json(&body);
    let running = tokio::spawn(request.send());
    let waits = async || {
        let metrics = server.send(server.http.get(server.address("metrics", "/metrics"))).await.text;
        metrics.contains("xiaoyi_queue_running_jobs 1")
    };
    server.within(Duration::from_secs(5), "the call", waits).await;
    server.order_to_stop();
    let reply = running.await.unwrap().unwrap();
    assert_eq!(reply.status(), 200);
    let status = server.wait();
    assert!(status.success(), "{status}: {}", server.log());
    assert_eq!(server.command(&["balance", "--tenant", "acme"]).ok()["held"], "0.00");
    assert_eq!(server.command(&["ledger", "audit"]).ok()["ok"], true);
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let mut server = Server::start();
    server.echo_at("echo://local?delay_ms=60000", "slow").await;
    let key = server.customer("acme");
    let body = json!({"model": "slow", "messages": [{"role": "user", "content": "hello"}]});
    let request = server.http.post(server.url("/v1/chat/completions")).bearer_auth(&key.secret).json(&body);
    let _running = tokio::spawn(request.send());
    server
        .within(Duration::from_secs(5), "the hold", async || {
            server.command(&["balance", "--tenant", "acme"]).ok()["held"] != "0.00"
        })
        .await;
    server.order_to_stop();
    server.within(Duration::from_secs(5), "the order", async || server.log().contains("stopping")).await;
    server.order_to_stop();
    assert_eq!(server.wait().code(), Some(1));

    server.restart();
    let released = async || server.command(&["balance", "--tenant", "acme"]).ok()["held"] == "0.00";
    server.within(RELEASED, "the release of the hold", released).await;
}

#[tokio::test]
async fn a_killed_server_leaves_no_hold_behind() {
    let mut server = Server::start();
    server.echo_at("echo://local?delay_ms=60000", "slow").await;
    let key = server.customer("acme");
    let body = json!({"model": "slow", "messages": [{"role": "user", "content": "hello"}]});
    let request = server.http.post(server.url("/v1/chat/completions")).bearer_auth(&key.secret).json(&body);
    let _running = tokio::spawn(request.send());
    server
        .within(Duration::from_secs(5), "the hold", async || {
            server.command(&["balance", "--tenant", "acme"]).ok()["held"] != "0.00"
        })
        .await;
    server.kill9();
    server.restart();
    let released = async || server.command(&["balance", "--tenant", "acme"]).ok()["held"] == "0.00";
    server.within(RELEASED, "the release of the hold", released).await;
    assert_eq!(
        server.command(&["balance", "--tenant", "acme"]).ok(),
        json!({"currency": "CNY", "posted": "10.00", "held": "0.00", "available": "10.00"})
    );
    assert_eq!(server.command(&["ledger", "audit"]).ok()["ok"], true);
}

#[tokio::test]
async fn an_openai_key_makes_a_channel_once() {
    let mut server =
        Server::start_with(&[("OPENAI_API_KEY", "sk-provider-secret"), ("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")]);
    let channels = server.command(&["channel", "list"]).ok();
    let channel = &channels[0];
    assert_eq!(
        (&channel["name"], &channel["type"], &channel["has_api_key"]),
        (&"openai".into(), &"openai".into(), &true.into())
    );
    assert_eq!(
        (&channel["base_url"], &channel["models"]["gpt-4"]),
        (&"http://127.0.0.1:9/v1".into(), &"gpt-4o".into())
    );
    assert!(server.log().contains("OPENAI_API_KEY") && !server.log().contains("sk-provider-secret"));
    assert!(!server.log().contains("no channel is enabled"), "{}", server.log());
    server.terminate();
    server.restart();
    assert_eq!(server.command(&["channel", "list"]).ok(), channels);
    assert!(!server.log().contains("OPENAI_API_KEY is not used"), "{}", server.log());
}

#[tokio::test]
async fn another_openai_key_than_the_channels_is_warned_of_until_a_channel_has_it() {
    let mut server =
        Server::start_with(&[("OPENAI_API_KEY", "sk-provider-first"), ("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")]);
    let warnings = |server: &Server| server.log().matches("OPENAI_API_KEY is not used").count();
    let start_again = |server: &mut Server| {
        server.terminate();
        server.place.set("OPENAI_API_KEY", "sk-provider-second");
        server.restart();
        warnings(server)
    };
    assert_eq!(warnings(&server), 0);
    assert_eq!(start_again(&mut server), 1);
    assert!(server.log().contains("xiaoyi channel disable openai"), "{}", server.log());

    let add =
        ["channel", "add", "--name", "new", "--type", "openai", "--models", "m", "--api-key-env", "OPENAI_API_KEY"];
    server.command(&add).ok();
    server.command(&["channel", "disable", "openai"]).ok();
    assert_eq!(start_again(&mut server), 1, "once the new key is in use nothing is warned of");
    assert!(!server.log().contains("sk-provider"), "{}", server.log());
}

#[tokio::test]
async fn a_start_without_an_enabled_channel_says_what_to_do() {
    let mut server = Server::start();
    let said = |server: &Server, what: &str| server.log().matches(what).count();
    assert_eq!(
        said(&server, "no channel is enabled: set OPENAI_API_KEY and start again, or run `xiaoyi channel add"),
        1
    );
    server.command(&["channel", "add", "--name", "echo", "--type", "echo", "--models", "m"]).ok();
    server.terminate();
    server.restart();
    assert_eq!(said(&server, "no channel is enabled"), 1, "{}", server.log());
    server.command(&["channel", "disable", "echo"]).ok();
    server.terminate();
    server.restart();
    assert_eq!(said(&server, "no channel is enabled: run `xiaoyi channel enable"), 1, "{}", server.log());
}
