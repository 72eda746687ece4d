//! A balance for exactly so many calls answers exactly so many, however many ask at once, and ends at zero.

use std::sync::Arc;
use std::time::Duration;

use rstest::rstest;
use shared::money::Amount;
use tokio::sync::{Mutex, Semaphore};

use crate::support::call::{Order, Saw, Seen, call};
use crate::support::tenancy::Tenancy;

/// Calls that the balance covers.
const COVERED: usize = 20;
/// Calls that are made at once.
const MADE: usize = 50 * COVERED;
const KEYS: usize = 4;
/// Tries of a call that is refused for the moment.
const MOST_TRIES: usize = 60;

/// So that these tests together need no more connections than one of them.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

const TEXT: &str = "天地玄黄宇宙洪荒";

/// A chat whose answer is all that is held for it: `max_tokens` is what the answer counts.
fn chat(key: &str) -> Order {
    Order::chat(key, TEXT).with("max_tokens", 8)
}

/// Two hanzi and three words: floor(2 + 3 x 1.3) = 5 tokens.
fn words(key: &str) -> Order {
    Order { cost: 5 * 40_000, ..Order::chat(key, "你好 world, GPT-4!").with("max_tokens", 5) }
}

/// An answer that is cut at what is held.
fn cut(key: &str) -> Order {
    Order { cost: 8 * 10_000 + 3 * 30_000, ..Order::chat(key, TEXT).with("max_tokens", 3) }
}

fn mixed(key: &str, number: usize) -> Order {
    match number % 4 {
        0 => Order::image(key),
        1 => chat(key).with_key_in_body(),
        2 => chat(key).streamed(),
        _ => chat(key).with_key_in_body().streamed(),
    }
}

#[rstest]
#[case::images(|key: &str, _| Order::image(key))]
#[case::chat(|key: &str, _| chat(key))]
#[case::chat_by_the_original_rules(|key: &str, _| words(key).with_key_in_body())]
#[case::streamed_chat(|key: &str, _| words(key).streamed())]
#[case::answers_cut_at_their_hold(|key: &str, _| cut(key))]
#[case::streams_cut_at_their_hold(|key: &str, _| cut(key).streamed())]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_what_the_balance_covers_is_answered(#[case] order: fn(&str, usize) -> Order) {
    let balance = covered(order("", 0).cost);
    let _turn = ONE_AT_A_TIME.lock().await;
    let tenancy = Tenancy::open("echo://local?delay_ms=20&chunk_delay_ms=2", &balance, KEYS).await;
    all_at_once(&tenancy, order).await;
}

/// One balance for every kind of call at once, at prices that do not come out even: all cost the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_all_kinds_share_one_balance_exactly() {
    // 8 x 3.333333333 / 1,000,000 and 8 x 10.000000007 / 1,000,000, each rounded up: 0.000026667 + 0.000080001.
    const COST: i64 = 106_668;
    let order = |key: &str, number: usize| Order { cost: COST, ..mixed(key, number) };
    let _turn = ONE_AT_A_TIME.lock().await;
    let tenancy = Tenancy::open("echo:", &covered(COST), KEYS).await;
    tenancy.set_price("gpt-4", &["--prompt", "3.333333333", "--completion", "10.000000007"]).await;
    tenancy.set_price("dall-e-3", &["--prompt", "0", "--completion", "0", "--image", "256x256=0.000106668"]).await;
    all_at_once(&tenancy, order).await;
}

fn covered(cost: i64) -> String {
    Amount::from_nanos(cost * i64::try_from(COVERED).expect("a few")).to_string()
}

async fn all_at_once(tenancy: &Tenancy, order: fn(&str, usize) -> Order) {
    let gate = Arc::new(Semaphore::new(0));
    let calls: Vec<_> = (0..MADE)
        .map(|number| {
            let order = order(&tenancy.keys[number % KEYS], number / KEYS);
            let (client, base, gate) = (tenancy.client.clone(), tenancy.base(), Arc::clone(&gate));
            tokio::spawn(async move {
                let _permit = gate.acquire().await;
                call_until_it_is_decided(&client, &base, &order).await
            })
        })
        .collect();
    gate.add_permits(at_once());
    let mut answered = Vec::new();
    for seen in calls {
        let seen = seen.await.expect("a call ends by itself");
        match &seen.saw {
            Saw::End => answered.push(seen),
            Saw::Error { status: 402, code, .. } => assert_eq!(code, "insufficient_quota"),
            other => panic!("neither answered nor refused for the balance: {other:?}"),
        }
    }
    assert_eq!(answered.len(), COVERED, "calls were answered");

    let books = tenancy.clean_books().await;
    assert_eq!(tenancy.command(&["balance", "--tenant", "acme"])["posted"], "0.00");
    assert_eq!(books.charged(), books.topped_up());
    let charges = books.by_request();
    assert_eq!(charges.len(), COVERED, "requests were charged: {charges:?}");
    for seen in &answered {
        let request_id = seen.request_id.as_deref().expect("an id");
        let charged = charges.get(request_id).unwrap_or_else(|| panic!("not charged: {seen:?}"));
        assert_eq!((charged.times, charged.net), (1, order("", 0).cost), "{seen:?}");
    }
}

/// All of them; half of the connections that this process may have, where that is less.
fn at_once() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let limit = limits.lines().find(|line| line.starts_with("Max open files"));
    let most = limit.and_then(|line| line.split_whitespace().nth(3)?.parse::<usize>().ok());
    most.map_or(MADE, |most| MADE.min(most / 2))
}

async fn call_until_it_is_decided(client: &reqwest::Client, base: &str, order: &Order) -> Seen {
    for _ in 0..MOST_TRIES {
        let seen = call(client, base, order).await;
        if !seen.is_refused_for_now() {
            return seen;
        }
        let wait = seen.retry_after.map_or(Duration::from_millis(50), Duration::from_secs);
        tokio::time::sleep(wait).await;
    }
    panic!("refused for the moment {MOST_TRIES} times: {order:?}");
}
