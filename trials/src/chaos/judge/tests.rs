//! Made-up cases: a trial in which everything is right, and what is found when one thing in it is not.

use super::*;
use crate::chaos::books::{Charge, Entry};
use crate::chaos::call::Claim;
use crate::chaos::plan::Fault;

const TOPPED_UP: i64 = 1_000_000;

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn request(marker: &str, begun: u64, outcome: Outcome) -> Request {
    let is_answered = outcome == Outcome::Answered;
    Request {
        marker: marker.to_owned(),
        tenant: 0,
        api: 0,
        begun: at(begun),
        ended: at(begun + 100),
        request_id: Some(format!("id-{marker}")),
        expected: 10,
        received: if is_answered { 10 } else { 0 },
        usage: is_answered.then_some(10),
        outcome,
    }
}

fn refused(claim: Claim) -> Outcome {
    Outcome::Refused { status: 502, name: "upstream_error".to_owned(), claim }
}

fn happened(fault: Fault, from: u64, until: u64) -> Happened {
    Happened { fault, from: at(from), until: at(until), recovery: Some(at(10)) }
}

fn calls(begun: &[u64], hanzi: i64) -> Vec<ProviderCall> {
    begun.iter().map(|begun| ProviderCall { begun: at(*begun), hanzi }).collect()
}

impl Evidence {
    fn book(&mut self, kind: &str, amount: i64, marker: &str, tokens: i64) {
        let books = &mut self.books[0];
        books.posted += amount;
        let charge = Charge { marker: marker.to_owned(), completion_tokens: tokens, reckoned: -amount };
        books.entries.push(Entry {
            kind: kind.to_owned(),
            amount,
            balance: books.posted,
            request_id: (!marker.is_empty()).then(|| format!("id-{marker}")),
            charge: (kind == "capture").then_some(charge),
        });
    }
}

/// One call of every kind, with the right charge.
fn right() -> Evidence {
    let mut evidence = Evidence::default();
    evidence.books.push(Books { topped_up: TOPPED_UP, posted: 0, held: 0, entries: Vec::new() });
    evidence.book("top_up", TOPPED_UP, "", 0);
    let mut add = |marker: &str, outcome, provider: Vec<ProviderCall>| {
        evidence.requests.push(request(marker, 1_000, outcome));
        if !provider.is_empty() {
            evidence.provider.insert(marker.to_owned(), provider);
        }
    };
    add("answered", Outcome::Answered, calls(&[1_010], 10));
    add("refused", refused(Claim::Nothing), calls(&[1_010], 0));
    add("refused-midway", refused(Claim::Amount(400)), calls(&[1_010], 4));
    add("reversed", refused(Claim::Nothing), calls(&[1_010], 10));
    add("unknown", refused(Claim::Unknown), calls(&[1_010], 10));
    add("died", Outcome::Died("reset".to_owned()), calls(&[1_010], 6));
    add("left", Outcome::Left, calls(&[1_010], 7));
    add("again", Outcome::Answered, calls(&[1_010, 1_090], 10));
    add(
        "too-poor",
        Outcome::Refused { status: 402, name: "insufficient_quota".to_owned(), claim: Claim::Nothing },
        Vec::new(),
    );
    for (marker, tokens) in [
        ("answered", 10),
        ("refused-midway", 4),
        ("reversed", 10),
        ("unknown", 10),
        ("died", 6),
        ("left", 3),
        ("again", 10),
    ] {
        evidence.book("capture", -100 * tokens, marker, tokens);
    }
    evidence.book("reversal", 1_000, "reversed", 0);
    evidence.happened.push(happened(Fault::KillApi { number: 0 }, 1_050, 2_000));
    evidence.happened.push(happened(Fault::KillWorker { number: 2 }, 1_050, 2_000));
    evidence
}

#[track_caller]
fn finds(rule: &str, change: impl FnOnce(&mut Evidence)) {
    let mut evidence = right();
    change(&mut evidence);
    let violations = judge(&evidence).violations;
    assert!(violations.iter().any(|each| each.starts_with(rule)), "{violations:#?}");
}

/// Where the capture of a request stands.
fn capture(evidence: &Evidence, marker: &str) -> usize {
    let is_it = |entry: &Entry| entry.charge.as_ref().is_some_and(|charge| charge.marker == marker);
    evidence.books[0].entries.iter().position(is_it).unwrap()
}

/// Takes a capture back as if it had never been.
fn forget(evidence: &mut Evidence, marker: &str) {
    let at = capture(evidence, marker);
    let amount = evidence.books[0].entries.remove(at).amount;
    evidence.books[0].posted -= amount;
    evidence.books[0].entries[at..].iter_mut().for_each(|entry| entry.balance -= amount);
}

#[test]
fn nothing_is_found_where_everything_is_right() {
    let verdict = judge(&right());
    assert_eq!(verdict.violations, [""; 0]);
    let figures = verdict.figures;
    assert_eq!((figures.requests, figures.answered, figures.refused, figures.died, figures.left), (9, 2, 5, 1, 1));
    assert_eq!((figures.refused_with_a_charge, figures.outcome_unknown), (1, 1));
    assert_eq!((figures.requests_at_the_provider, figures.provider_calls, figures.extra_provider_calls), (8, 9, 1));
    assert_eq!((figures.charges, figures.charged, figures.balances), (6, 4_300, TOPPED_UP - 4_300));
    assert_eq!(figures.errors["upstream_error"], 4);
}

#[test]
fn an_answer_for_free() {
    finds("an answer ended without a charge", |evidence| forget(evidence, "answered"));
    finds("an answer ended without a charge", |evidence| evidence.book("reversal", 1_000, "answered", 0));
}

#[test]
fn an_answer_unlike_its_charge() {
    finds("an answer and its charge are not alike", |evidence| evidence.requests[0].received = 9);
    finds("an answer and its charge are not alike", |evidence| evidence.requests[0].usage = Some(9));
    finds("an answer and its charge are not alike", |evidence| evidence.requests[0].request_id = None);
    finds("an answer and its charge are not alike", |evidence| {
        let at = capture(evidence, "answered");
        evidence.books[0].entries[at].charge.as_mut().unwrap().completion_tokens = 9;
    });
}

#[test]
fn a_charge_that_was_denied_or_misstated() {
    finds("a request was charged although", |evidence| evidence.book("capture", -5, "refused", 0));
    finds("a request was charged although", |evidence| {
        evidence.books[0].posted -= 1_000;
        evidence.books[0].entries.pop();
    });
    finds("an error states another amount", |evidence| forget(evidence, "refused-midway"));
}

#[test]
fn two_charges_for_one_request() {
    finds("a request was charged twice", |evidence| evidence.book("capture", -5, "answered", 1));
    finds("the books do not add up", |evidence| {
        evidence.book("capture", -5, "answered", 1);
        evidence.books[0].entries.last_mut().unwrap().request_id = Some("other".to_owned());
    });
}

#[test]
fn a_charge_for_what_nobody_generated() {
    for marker in ["died", "left", "unknown"] {
        finds("a request was charged for more", |evidence| {
            evidence.provider.insert(marker.to_owned(), calls(&[1_010], 2));
        });
    }
    finds("a request was charged for more", |evidence| drop(evidence.provider.remove("died")));
    finds("a request was charged for more", |evidence| {
        let at = capture(evidence, "left");
        evidence.books[0].entries[at].charge.as_mut().unwrap().completion_tokens = 0;
        evidence.provider.insert("left".to_owned(), calls(&[1_010], 0));
    });
}

#[test]
fn a_connection_that_nobody_killed() {
    finds("a connection died", |evidence| evidence.happened[0].until = at(400));
    finds("a connection died", |evidence| evidence.happened[0].fault = Fault::KillApi { number: 1 });
    finds("a connection died", |evidence| evidence.happened[0].from = at(1_200));
}

#[test]
fn calls_to_the_provider_without_a_lost_lease() {
    let rule = "the provider was called again";
    finds(rule, |evidence| evidence.happened.truncate(1));
    finds(rule, |evidence| evidence.happened[1].fault = Fault::KillPostgres);
    finds(rule, |evidence| evidence.happened[1].from = at(1_100));
    // One excuse, two more calls.
    finds(rule, |evidence| {
        evidence.happened[1].until = at(1_095);
        evidence.provider.insert("again".to_owned(), calls(&[1_010, 1_090, 5_000, 6_000], 10));
    });
}

#[test]
fn sums_that_do_not_agree() {
    finds("the books do not add up", |evidence| evidence.books[0].posted += 1);
    finds("the books do not add up", |evidence| evidence.books[0].topped_up += 1);
    finds("the books do not add up", |evidence| evidence.books[0].entries[1].balance += 1);
    finds("the books do not add up", |evidence| {
        evidence.books[0].entries[1].charge.as_mut().unwrap().reckoned += 1;
    });
    finds("money is still held", |evidence| evidence.books[0].held = 1);
    finds("a balance is negative", |evidence| evidence.book("capture", -2 * TOPPED_UP, "left", 1));
}

#[test]
fn strangers_and_calls_without_an_end() {
    finds("a charge or a provider's call belongs to no client", |evidence| evidence.book("capture", -1, "stranger", 0));
    finds("a charge or a provider's call belongs to no client", |evidence| {
        evidence.provider.insert("stranger".to_owned(), calls(&[1], 0));
    });
    finds("a request was charged to another tenant", |evidence| evidence.requests[0].tenant = 1);
    finds("a call had no end", |evidence| evidence.requests[6].outcome = Outcome::Endless);
    finds("a reply is none of the contract", |evidence| {
        evidence.requests[6].outcome = Outcome::Nonsense("<html>".to_owned());
    });
}

#[test]
fn a_long_list_is_cut() {
    let mut verdict = Verdict::default();
    verdict.broken("rule", (0..25).map(|number| number.to_string()).collect());
    assert!(
        verdict.violations[0].starts_with("rule: 25\n  0\n  1\n") && verdict.violations[0].ends_with("and 15 more")
    );
}
