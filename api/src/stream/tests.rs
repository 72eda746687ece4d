use shared::admission::Failure;
use shared::id::RequestId;
use shared::money::Amount;
use shared::refusal::Reason;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::*;

const SILENCE: Duration = Duration::from_secs(10);

/// Steps that a test sends by hand.
struct Script(UnboundedReceiver<Step>);

impl Steps for Script {
    fn request_id(&self) -> RequestId {
        RequestId::zero()
    }

    async fn next(&mut self) -> Option<Step> {
        self.0.recv().await
    }
}

fn script() -> (UnboundedSender<Step>, Script) {
    let (sender, receiver) = unbounded_channel();
    (sender, Script(receiver))
}

async fn begin(steps: impl Steps) -> Result<Events, Refusal> {
    Events::begin(steps, "CNY".to_owned(), SILENCE, |_| {}).await
}

/// What is handed out next, as text; `None` at the end.
async fn piece(events: &mut Events) -> Option<String> {
    let bytes = poll_fn(|context| Pin::new(&mut *events).poll_next(context)).await;
    bytes.map(|bytes| String::from_utf8(bytes.unwrap().to_vec()).unwrap())
}

async fn rest(events: &mut Events) -> String {
    let mut text = String::new();
    while let Some(piece) = piece(events).await {
        text.push_str(&piece);
    }
    text
}

fn chunk(json: &'static str) -> Step {
    Step::Chunk(Bytes::from_static(json.as_bytes()))
}

fn answered(held_back: &[&'static str]) -> Step {
    let held_back = held_back.iter().map(|json| Bytes::from_static(json.as_bytes())).collect();
    Step::Answered { held_back, charged: Amount::ZERO }
}

fn failed(charged: Option<i64>) -> Step {
    let refusal = Refusal::new(Reason::UpstreamError, "no channel gave an answer");
    Step::Failed(Failure { refusal, charged: charged.map(Amount::from_nanos) })
}

#[tokio::test(start_paused = true)]
async fn what_is_ready_goes_out_in_one_piece() {
    let (steps, script) = script();
    for step in [chunk(r#"{"a":1}"#), chunk(r#"{"b":2}"#), answered(&[r#"{"end":1}"#, r#"{"usage":2}"#])] {
        steps.send(step).unwrap();
    }
    let mut events = begin(script).await.unwrap();
    let expected = "data: {\"a\":1}\n\ndata: {\"b\":2}\n\ndata: {\"end\":1}\n\ndata: {\"usage\":2}\n\ndata: [DONE]\n\n";
    assert_eq!(piece(&mut events).await.as_deref(), Some(expected));
    assert_eq!(piece(&mut events).await, None);
}

#[tokio::test(start_paused = true)]
async fn each_piece_goes_out_as_soon_as_it_is_there() {
    let (steps, script) = script();
    steps.send(chunk("1")).unwrap();
    let mut events = begin(script).await.unwrap();
    assert_eq!(piece(&mut events).await.as_deref(), Some("data: 1\n\n"));
    assert!(futures_util::poll!(pin!(piece(&mut events))).is_pending());
    steps.send(chunk("2")).unwrap();
    assert_eq!(piece(&mut events).await.as_deref(), Some("data: 2\n\n"));
    steps.send(answered(&[])).unwrap();
    assert_eq!(rest(&mut events).await, "data: [DONE]\n\n");
}

#[tokio::test(start_paused = true)]
async fn a_failure_before_the_first_byte_is_a_refusal() {
    let (steps, script) = script();
    steps.send(failed(None)).unwrap();
    let refusal = begin(script).await.err().unwrap();
    assert_eq!(refusal.reason, Reason::UpstreamError);
    assert_eq!(refusal.message, "no channel gave an answer; nothing was charged");
}

#[tokio::test(start_paused = true)]
async fn a_failure_after_the_first_byte_is_a_frame_that_says_what_was_charged() {
    let (steps, script) = script();
    for step in [chunk("1"), failed(Some(120_000))] {
        steps.send(step).unwrap();
    }
    let reported = Rc::new(Cell::new(None));
    let for_report = Rc::clone(&reported);
    let report = move |refusal: &Refusal| for_report.set(Some(refusal.reason));
    let mut events = Events::begin(script, "CNY".to_owned(), SILENCE, report).await.unwrap();
    let expected = concat!(
        "data: 1\n\n",
        r#"data: {"error":{"message":"no channel gave an answer; 0.00012 CNY were charged for the text above","#,
        r#""type":"upstream_error","param":null,"code":"upstream_error"}}"#,
        "\n\ndata: [DONE]\n\n",
    );
    assert_eq!(rest(&mut events).await, expected);
    assert_eq!(reported.get(), Some(Reason::UpstreamError));
}

#[tokio::test(start_paused = true)]
async fn steps_that_end_without_an_end_make_no_claim_about_money() {
    let (steps, script) = script();
    steps.send(chunk("1")).unwrap();
    drop(steps);
    let mut events = begin(script).await.unwrap();
    let text = rest(&mut events).await;
    assert!(text.contains(r#""code":"outcome_unknown""#) && text.ends_with("data: [DONE]\n\n"), "{text}");
    assert!(!text.contains("charged;") && !text.contains("nothing was charged"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn silence_begins_the_stream_and_keeps_it_alive() {
    let (steps, script) = script();
    let started = Instant::now();
    let mut events = begin(script).await.unwrap();
    assert_eq!(started.elapsed().as_secs(), 10);
    assert_eq!(piece(&mut events).await.as_deref(), Some(": ping\n"));
    assert_eq!(piece(&mut events).await.as_deref(), Some(": ping\n"));
    assert_eq!(started.elapsed().as_secs(), 20);

    tokio::time::advance(Duration::from_secs(7)).await;
    steps.send(chunk("1")).unwrap();
    assert_eq!(piece(&mut events).await.as_deref(), Some("data: 1\n\n"));
    // The silence is counted from the last write, not from the last comment.
    assert_eq!(piece(&mut events).await.as_deref(), Some(": ping\n"));
    assert_eq!(started.elapsed().as_secs(), 37);

    // It is too late for a status of its own now.
    steps.send(failed(None)).unwrap();
    let text = rest(&mut events).await;
    assert!(text.contains("nothing was charged"), "{text}");
}

/// Takes 25 s for its one step, and would begin anew if it were broken off.
struct Slow;

impl Steps for Slow {
    fn request_id(&self) -> RequestId {
        RequestId::zero()
    }

    async fn next(&mut self) -> Option<Step> {
        tokio::time::sleep(Duration::from_secs(25)).await;
        Some(answered(&["1"]))
    }
}

#[tokio::test(start_paused = true)]
async fn keeping_alive_does_not_break_off_the_wait_for_a_step() {
    let started = Instant::now();
    let mut events = begin(Slow).await.unwrap();
    assert_eq!(rest(&mut events).await, ": ping\n: ping\ndata: 1\n\ndata: [DONE]\n\n");
    assert_eq!(started.elapsed().as_secs(), 25);
}

#[tokio::test(start_paused = true)]
async fn a_slow_client_holds_the_writer_back() {
    const SIZE: usize = 1_000;
    let (steps, script) = script();
    let json = Bytes::from("x".repeat(SIZE));
    for _ in 0..200 {
        steps.send(Step::Chunk(json.clone())).unwrap();
    }
    steps.send(answered(&[])).unwrap();
    let mut events = begin(script).await.unwrap();
    let mut sum = 0;
    while let Some(piece) = piece(&mut events).await {
        assert!(piece.len() <= FULL + SIZE + 8, "{}", piece.len());
        sum += piece.len();
    }
    assert_eq!(sum, 200 * (SIZE + 8) + "data: [DONE]\n\n".len());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_body_drops_the_call() {
    let (steps, script) = script();
    steps.send(chunk("1")).unwrap();
    let events = begin(script).await.unwrap();
    assert!(!steps.is_closed());
    drop(events);
    assert!(steps.is_closed());
}
