//! What a crash costs: no money and no answer that someone saw. The server is killed in the middle of its work, again and again, and
//! afterwards the books must say of every call what its client was told.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::support::Place;
use crate::support::books::Books;
use crate::support::call::{Order, Saw, Seen, call};
use crate::support::load::{Load, Observed, scattered};
use crate::support::tenancy::Tenancy;
use testkit::Pair;

const KILLS: usize = 30;
const CLIENTS: usize = 16;
/// So slow that a kill meets calls in every state, so fast that there are many of them.
const SLOW_ECHO: &str = "echo://local?delay_ms=4&chunk_delay_ms=2";

/// Calls of every kind and of different lengths.
fn mixed(keys: &[String]) -> impl Fn(usize, usize) -> Order + Clone + Send + 'static + use<> {
    let keys = keys.to_vec();
    move |client, round| {
        let number = client * 1_000 + round;
        let text = "天地玄黄宇宙洪荒".repeat(1 + scattered(number, 4));
        let key = &keys[number % keys.len()];
        match scattered(number + 7, 6) {
            0 => Order::chat(key, &text),
            1 => Order::chat(key, &text).with_key_in_body(),
            2 | 3 => Order::chat(key, &text).streamed(),
            4 => Order::completion(key, &text).streamed(),
            _ => Order::image(key),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "`--nocapture` shows what was hit")]
async fn thirty_kills_in_the_middle_of_load_lose_nothing() {
    let mut tenancy = Tenancy::open(SLOW_ECHO, "10000.00", 3).await;
    let mut load = Load::start(CLIENTS, &tenancy.base(), &tenancy.client, mixed(&tenancy.keys));
    for kill in 0..KILLS {
        // Now and then right at the start, before anything was answered.
        load.until_more_ends(scattered(kill, 60)).await;
        load.crash_begins();
        tenancy.server.kill9();
        tenancy.server.restart();
        // Where others may serve the same database, what a dead process held is free once it was silent long enough.
        if tenancy.server.place.pair() == Pair::Embedded {
            assert_eq!(tenancy.held(), 0, "kill {kill}: what the dead server held is free before the next one serves");
        }
        load.crash_is_over(&tenancy.base());
    }
    load.until_more_ends(CLIENTS).await;
    load.crash_begins();
    tenancy.server.kill9();
    let observed = load.stop().await;
    tenancy.server.restart();
    tenancy.until_held(0).await;

    let books = tenancy.clean_books().await;
    let told = Told::of(&observed);
    assert_books_agree(&books, &observed);
    assert!(told.ends > KILLS * 10, "too few answers to prove anything: {told:?}");
    assert!(told.broken > KILLS, "too few calls were hit by a kill: {told:?}");
    assert!(told.broken_in_their_text > 0, "no stream was hit in its text: {told:?}");
    println!("{told:?}");
}

/// What the clients were told, in numbers.
#[derive(Debug, Default)]
struct Told {
    ends: usize,
    broken: usize,
    broken_in_their_text: usize,
    errors: usize,
}

impl Told {
    fn of(observed: &[Observed]) -> Self {
        let mut told = Self::default();
        for Observed { seen, is_in_a_crash, order } in observed {
            match &seen.saw {
                Saw::End => told.ends += 1,
                Saw::Error { .. } => told.errors += 1,
                Saw::Broken { why } => {
                    assert!(is_in_a_crash, "the connection of {order:?} broke without a crash: {why}");
                    told.broken += 1;
                    told.broken_in_their_text += usize::from(!seen.text.is_empty());
                }
            }
        }
        told
    }
}

/// Every call is in the books as its client was told.
fn assert_books_agree(books: &Books, observed: &[Observed]) {
    let charges = books.by_request();
    let mut ended = HashSet::new();
    for Observed { order, seen, .. } in observed {
        let Some(request_id) = seen.request_id.as_deref() else {
            assert!(seen.saw != Saw::End, "an answer without an id: {seen:?}");
            continue;
        };
        let charged = charges.get(request_id).copied().unwrap_or_default();
        if seen.saw == Saw::End {
            assert!(ended.insert(request_id), "an id came twice: {request_id}");
            assert_eq!(seen.text, answer_to(order), "the answer was cut: {order:?}");
            assert_eq!((charged.times, charged.net), (1, order.cost), "{order:?} was answered: {seen:?}");
        } else {
            assert!((0..=order.cost).contains(&charged.net), "{order:?} was charged {charged:?}: {seen:?}");
        }
        if seen.says_nothing_was_charged() {
            assert_eq!(charged.net, 0, "it was told that nothing was charged: {seen:?}");
        }
    }
    for (request_id, charged) in &charges {
        assert!(charged.times == 1 && charged.net >= 0, "request {request_id} was charged {charged:?}");
    }
}

/// What echo says to it.
fn answer_to(order: &Order) -> &str {
    let body = &order.body;
    let text = body["messages"][0]["content"].as_str().or(body["prompt"].as_str()).expect("a text");
    if order.path.contains("images") { "1" } else { text }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_load_loses_nothing() {
    let mut tenancy = Tenancy::open(SLOW_ECHO, "10000.00", 3).await;
    let load = Load::start(CLIENTS, &tenancy.base(), &tenancy.client, mixed(&tenancy.keys));
    load.until_more_ends(100).await;
    load.crash_begins();
    let begun = Instant::now();
    tenancy.server.terminate();
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    let observed = load.stop().await;
    tenancy.server.restart();
    tenancy.until_held(0).await;

    let books = tenancy.clean_books().await;
    let told = Told::of(&observed);
    assert_books_agree(&books, &observed);
    // Stricter than after a crash: what was begun has also ended, so that no charge is without its answer.
    for Observed { order, seen, .. } in &observed {
        assert!(seen.saw == Saw::End || seen.text.is_empty(), "an answer was broken off: {order:?} {seen:?}");
        let is_broken_off = matches!(seen.saw, Saw::Broken { .. }) && seen.request_id.is_some();
        assert!(!is_broken_off, "a reply was broken off: {order:?} {seen:?}");
    }
    assert_eq!(books.by_request().len(), told.ends, "each charge belongs to an answer that came: {told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_run_when_the_server_is_stopped_are_answered() {
    const CALLS: usize = 24;
    let mut tenancy = Tenancy::open("echo://local?delay_ms=1500&chunk_delay_ms=60", "10000.00", 1).await;
    let text = "日月盈昃辰宿列张寒来暑往";
    let plain = Order::chat(&tenancy.keys[0], text).with("max_tokens", 20);
    let streamed = plain.clone().streamed();
    let calls: Vec<_> = (0..CALLS)
        .map(|number| {
            let order = if number % 2 == 0 { plain.clone() } else { streamed.clone() };
            let (client, base) = (tenancy.client.clone(), tenancy.base());
            tokio::spawn(async move { call(&client, &base, &order).await })
        })
        .collect();
    let held_by_all = i64::try_from(CALLS).expect("a few") * (12 * 10_000 + 20 * 30_000);
    tenancy.until_held(held_by_all).await;

    let begun = Instant::now();
    tenancy.server.terminate();
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    for answered in calls {
        let Seen { saw, text: answer, .. } = answered.await.expect("a call ends by itself");
        assert_eq!((saw, answer.as_str()), (Saw::End, text));
    }

    tenancy.server.restart();
    let books = tenancy.clean_books().await;
    assert_eq!(books.by_request().len(), CALLS);
    assert_eq!(books.charged(), i64::try_from(CALLS).expect("a few") * plain.cost);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_server_on_the_same_folder_is_refused() {
    let mut tenancy = Tenancy::open_in(Place::embedded(&[]), "echo:", "1.00", 1).await;
    let second = tenancy.server.command(&["serve"]);
    assert_eq!(second.status, 1, "{second:?}");
    assert!(second.stderr.contains("another xiaoyi server is running on"), "{}", second.stderr);
    let order = Order::chat(&tenancy.keys[0], "你好");
    let seen = call(&tenancy.client, &tenancy.base(), &order).await;
    assert_eq!(seen.saw, Saw::End, "the first one goes on: {seen:?}");

    // The lock dies with its holder, however it ends.
    tenancy.server.kill9();
    tenancy.server.restart();
    let seen = call(&tenancy.client, &tenancy.base(), &order).await;
    assert_eq!(seen.saw, Saw::End, "{seen:?}");
    assert_eq!(tenancy.clean_books().await.charged(), 2 * order.cost);
}
