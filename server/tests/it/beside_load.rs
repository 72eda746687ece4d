//! Commands beside a server under full load: each does what it says, once, and soon.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::support::Server;
use crate::support::call::{Order, Saw, call};
use crate::support::load::{Load, scattered};
use crate::support::tenancy::Tenancy;

const CLIENTS: usize = 64;
const TOPUPS: usize = 200;
const AT_ONCE: usize = 8;
/// The longest that a command may take.
const LONGEST: Duration = Duration::from_secs(10);
/// The longest that a revoked key may work on.
const REVOKED_WITHIN: Duration = Duration::from_secs(1);

/// Calls of every kind, as fast as echo answers.
fn orders(keys: &[String]) -> impl Fn(usize, usize) -> Order + Clone + Send + 'static + use<> {
    let keys = keys.to_vec();
    move |client, round| {
        let key = &keys[client % keys.len()];
        match scattered(client + 100 * round, 4) {
            0 => Order::chat(key, "你好世界").streamed(),
            1 => Order::chat(key, "你好世界").with_key_in_body(),
            2 => Order::image(key),
            _ => Order::chat(key, "你好世界"),
        }
    }
}

/// How long each command took, by what it was.
#[derive(Default)]
struct Times(HashMap<&'static str, Vec<Duration>>);

impl Times {
    fn add(&mut self, what: &'static str, time: Duration) {
        self.0.entry(what).or_default().push(time);
    }

    fn merge(&mut self, other: Self) {
        for (what, times) in other.0 {
            self.0.entry(what).or_default().extend(times);
        }
    }

    /// Runs a command that must succeed in time.
    fn command(&mut self, what: &'static str, server: &Server, arguments: &[&str]) -> serde_json::Value {
        let begun = Instant::now();
        let output = server.command(arguments);
        let time = begun.elapsed();
        assert_eq!(output.status, 0, "{arguments:?}: {output:?}");
        assert!(time < LONGEST, "{arguments:?} took {time:?}");
        self.add(what, time);
        output.json
    }

    fn slowest(&self) -> Vec<String> {
        let slowest = self.0.iter().map(|(what, times)| {
            let slowest = times.iter().max().copied().unwrap_or_default();
            format!("{what}: {} times, the slowest {} ms", times.len(), slowest.as_millis())
        });
        slowest.collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "`--nocapture` shows how fast it was")]
async fn commands_beside_full_load_succeed_soon_and_once() {
    let tenancy = Tenancy::open("echo:", "100000.00", 4).await;
    let load = Load::start(CLIENTS, &tenancy.base(), &tenancy.client, orders(&tenancy.keys));
    load.until_more_ends(2 * CLIENTS).await;
    let (begun, ends_before) = (Instant::now(), load.ends());
    let mut times = Times::default();
    // Blocks only this thread; the clients have others.
    std::thread::scope(|scope| {
        let server = &tenancy.server;
        let rows: Vec<_> = (0..AT_ONCE).map(|row| scope.spawn(move || topups(server, row))).collect();
        rows.into_iter().for_each(|row| times.merge(row.join().expect("each command succeeds")));
    });
    let (took, ends) = (begun.elapsed(), load.ends() - ends_before);
    assert!(ends > TOPUPS, "no full load: {ends} answers meanwhile");
    for observed in load.stop().await {
        assert_eq!(observed.seen.saw, Saw::End, "{observed:?}");
    }
    println!("{ends} answers in {} ms beside: {}", took.as_millis(), times.slowest().join("; "));

    let books = tenancy.clean_books().await;
    let mut references = books.references();
    references.sort_unstable();
    let mut expected: Vec<String> = (0..TOPUPS).map(reference).collect();
    expected.push("first".to_owned());
    expected.sort_unstable();
    assert_eq!(references, expected, "each payment is booked once");
    let paid: i64 = (0..TOPUPS).map(amount_in_nanos).sum();
    assert_eq!(books.topped_up(), 100_000_000_000_000 + paid);
    assert!(books.by_request().values().all(|charged| charged.times == 1));
}

/// Every eighth payment, with other commands in between.
fn topups(server: &Server, row: usize) -> Times {
    let mut times = Times::default();
    for number in (row..TOPUPS).step_by(AT_ONCE) {
        let (reference, amount) = (reference(number), amount(number));
        let payment = ["topup", "--tenant", "acme", "--amount", &amount, "--reference", &reference];
        let booked = times.command("topup", server, &payment);
        assert_eq!(booked["replayed"], false, "{booked}");
        match scattered(number, 5) {
            0 => {
                let again = times.command("topup again", server, &payment);
                assert_eq!((&again["replayed"], &again["id"]), (&true.into(), &booked["id"]), "{again}");
            }
            1 => {
                let other = server.command(&["topup", "--tenant", "acme", "--amount", "7", "--reference", &reference]);
                assert_eq!(other.status, 1, "{other:?}");
                assert_eq!(other.json["error"]["code"], "reference_taken", "{other:?}");
            }
            2 => {
                let balance = times.command("balance", server, &["balance", "--tenant", "acme"]);
                assert!(balance["posted"].is_string(), "{balance}");
            }
            3 => {
                let key = times.command("key issue", server, &["key", "issue", "--tenant", "acme"]);
                assert!(key["secret"].is_string(), "no secret");
            }
            _ if number % 4 == 0 => {
                let audit = times.command("ledger audit", server, &["ledger", "audit"]);
                assert_eq!(audit["ok"], true, "{audit}");
            }
            _ => {}
        }
    }
    times
}

fn reference(number: usize) -> String {
    format!("invoice-{number}")
}

fn amount_in_nanos(number: usize) -> i64 {
    1_000_000_001 * (1 + i64::try_from(number).expect("a few"))
}

fn amount(number: usize) -> String {
    shared::money::Amount::from_nanos(amount_in_nanos(number)).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "`--nocapture` shows how fast it was")]
async fn a_key_is_refused_within_a_second_of_its_revocation_under_load() {
    let tenancy = Tenancy::open("echo:", "100000.00", 4).await;
    let load = Load::start(CLIENTS, &tenancy.base(), &tenancy.client, orders(&tenancy.keys));
    load.until_more_ends(2 * CLIENTS).await;
    for round in 0..5 {
        let key = tenancy.command(&["key", "issue", "--tenant", "acme"]);
        let [id, secret] = ["id", "secret"].map(|field| key[field].as_str().expect("a text").to_owned());
        let order = Order::chat(&secret, "你好");
        let first = call(&tenancy.client, &tenancy.base(), &order).await;
        assert_eq!(first.saw, Saw::End, "round {round}: a new key works at once");

        tenancy.command(&["key", "revoke", &id]);
        let revoked = Instant::now();
        let mut refused_later = 0;
        let mut last_answered = None;
        while refused_later < 5 {
            let made = revoked.elapsed();
            match call(&tenancy.client, &tenancy.base(), &order).await.saw {
                Saw::End => {
                    assert!(made < REVOKED_WITHIN, "round {round}: answered {made:?} after its revocation");
                    last_answered = Some(made.as_millis());
                }
                Saw::Error { status: 401, code, message } => {
                    assert_eq!(code, "invalid_api_key");
                    assert!(message.contains("was revoked"), "{message}");
                    refused_later += usize::from(made >= REVOKED_WITHIN);
                }
                other => panic!("round {round}: {other:?}"),
            }
        }
        println!("round {round}: the last call that was answered began {last_answered:?} ms after the revocation");
    }
    for observed in load.stop().await {
        assert_eq!(observed.seen.saw, Saw::End, "{observed:?}");
    }
    tenancy.clean_books().await;
}
