//! What is logged of a request, and what never is.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::app::{ID_OF_PAGE, TestApp, hello};
use crate::client::{get, post};
use crate::worker::Act;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[actix_web::test]
async fn every_request_has_a_line_and_no_line_has_a_secret() {
    let lines = Lines::default();
    let subscriber =
        tracing_subscriber::fmt().json().with_max_level(LevelFilter::TRACE).with_writer(lines.clone()).finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let app = TestApp::start(|_| vec![Act::Chunk("1", 1), Act::Answer(&["{}"], 1)]).await;
    let with_body_key = {
        let mut body = hello();
        body["api_secret_key"] = app.key.clone().into();
        post("/v1/chat/completions").json(body)
    };
    let answered = app.send(app.chat().header("x-request-id", "theirs")).await;
    let requests = [
        app.streamed_chat(),
        with_body_key,
        post("/v1/chat/completions").json(json!({"api_secret_key": format!("{}x", app.key)})),
        post("/v1/chat/completions").json(format!("{{\"api_secret_key\": \"{}\"", app.key)),
        post("/v1/chat/completions").json(json!({"api_secret_key": [app.key]})),
        get("/v1/balance").header("x-api-key", &app.key),
        get(&format!("/v1/models/{}", app.key)).bearer(&app.key),
        get(&format!("/v1/usage?from={}", app.key)).bearer(&app.key),
        get("/nowhere").header("x-request-id", &app.key),
    ];
    for request in requests {
        let reply = app.send(request).await;
        assert!(!reply.body.contains(&app.key) && !reply.body.contains("hello"), "{}", reply.body);
    }

    app.send(get("/console/with-id")).await;

    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(!text.contains(&app.key[20..]), "a secret is in the log");
    let logged: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let line_of = |id: &str| {
        let mut lines = logged.iter().map(|line| (line, &line["fields"]));
        let (line, _) = lines.find(|(_, line)| line["request_id"] == id && line["message"] == "request").unwrap();
        line
    };
    assert_eq!(line_of(ID_OF_PAGE)["fields"]["path"], "/console/with-id");
    let line = line_of(answered.request_id());
    let fields = &line["fields"];
    assert_eq!(
        (&line["level"], &fields["method"], &fields["path"]),
        (&json!("INFO"), &json!("POST"), &json!("/v1/chat/completions"))
    );
    assert_eq!((&fields["status"], &fields["key"]), (&json!(200), &json!(app.key[5..17])));
    assert_eq!((&fields["tenant"], &fields["client_request_id"]), (&json!(app.tenant.0), &json!("theirs")));
    assert!(
        fields["duration_ms"].is_u64() && fields.get("error").is_none() && fields.get("client_left").is_none(),
        "{fields}"
    );
}
