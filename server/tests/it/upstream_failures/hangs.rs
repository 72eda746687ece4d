//! Providers that take their time: the deadlines end every call, and its connection to the provider with it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::cases::{Case, TEXT, Want, begun, without_text};
use super::{TIMEOUT, open, run};
use crate::support::provider::{Act, Provider, chat, chunk, event, finish, piece_bytes, stream_head, text};
use crate::support::reseller::CLIENTS;

/// Long enough that a busy machine gets a text through, and short enough to wait for.
const DEADLINES: [(&str, &str); 3] = [
    ("XIAOYI_DEADLINE_TOTAL_S", "8"),
    ("XIAOYI_DEADLINE_FIRST_TEXT_S", "4"),
    ("XIAOYI_DEADLINE_BETWEEN_CHUNKS_S", "3"),
];
const OFTEN: Duration = Duration::from_millis(200);

fn cases() -> Vec<Case> {
    let too_late = || Want::Refused(TIMEOUT);
    let fell_silent = || Want::BrokenOff(TIMEOUT, TEXT);
    let comments = || Act::Repeat(piece_bytes(": ping\n\n"), OFTEN);
    let empty = chunk(&json!({"content": ""}), None);
    let empty_chunks = || Act::Repeat(piece_bytes(&format!("data: {empty}\n\n")), OFTEN);
    let half = format!("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{}", &chat(TEXT, &Value::Null)[..40]);
    let head_only =
        Act::Send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n".to_vec());
    vec![
        Case::whole("hang before headers", vec![Act::Hang], too_late()),
        Case::whole("hang after headers", vec![head_only, Act::Hang], too_late()),
        Case::whole("hang within the answer", vec![Act::Send(half.into_bytes()), Act::Hang], too_late()),
        Case::streamed("hang before headers", vec![Act::Hang], too_late()),
        Case::streamed("hang after headers", vec![stream_head(), Act::Hang], too_late()),
        Case::streamed("hang before text", without_text([Act::Hang]), too_late()),
        Case::streamed("comments before text", without_text([comments()]), too_late()),
        Case::streamed("empty chunks before text", without_text([empty_chunks()]), too_late()),
        Case::streamed("hang after text", begun([Act::Hang]), fell_silent()),
        Case::streamed("comments after text", begun([comments()]), fell_silent()),
        Case::streamed("empty chunks after text", begun([empty_chunks()]), fell_silent()),
        // From the finish_reason on the answer is whole; it waits a little for the provider's usage.
        Case::streamed("hang after finish_reason", begun([finish(), Act::Hang]), Want::Answered(TEXT.to_owned())),
        Case::streamed("comments after finish_reason", begun([finish(), comments()]), Want::Answered(TEXT.to_owned())),
        Case::streamed(
            "empty chunks after finish_reason",
            begun([finish(), empty_chunks()]),
            Want::Answered(TEXT.to_owned()),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_hangs() {
    let provider = Arc::new(Provider::start());
    let cases = cases();
    let reseller = Arc::new(open(&provider, &DEADLINES, &cases).await);
    let models: Vec<String> = cases.iter().map(Case::upstream_model).collect();
    let mut running = JoinSet::new();
    for case in cases.into_iter().map(Arc::new) {
        for client in CLIENTS {
            let (reseller, provider, case) = (Arc::clone(&reseller), Arc::clone(&provider), Arc::clone(&case));
            running.spawn(async move { run(&reseller, &provider, client, &case).await });
        }
    }
    let charges = running.join_all().await.into_iter().sum();
    reseller.assert_books(charges).await;
    for model in models {
        assert_eq!(provider.received(&model).len(), CLIENTS.len(), "{model}: no call is made twice");
        provider.departure(&model).await;
    }
}

/// A provider that never stops is stopped by the deadline of the whole call.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_talks_on_and_on() {
    let provider = Provider::start();
    let more = event(&chunk(&json!({"content": "more "}), None));
    let Act::Send(more) = more else { unreachable!() };
    let case = Case::streamed(
        "endless",
        vec![stream_head(), text("more "), Act::Repeat(more, OFTEN)],
        Want::Answered(String::new()),
    );
    let reseller = open(&provider, &DEADLINES, std::slice::from_ref(&case)).await;
    let reply = reseller.chat(CLIENTS[0], &case.model(), true).await;
    let text = reply.text();
    assert!(text.len() > "more more more more ".len() && text.replace("more ", "").is_empty(), "{reply:?}");
    super::assert_broken_off("endless", &reply, TIMEOUT, &text, super::charge_for(&text));
    assert_eq!(reseller.charged(reply.request_id()).await, Some(super::charge_for(&text)));
    provider.departure(&case.upstream_model()).await;
    reseller.assert_books(super::charge_for(&text)).await;
}
