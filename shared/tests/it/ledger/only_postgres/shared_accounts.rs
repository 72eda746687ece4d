//! Accounts that are mostly written by one process and now and then by another, so that guesses are made all the time and often wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use shared::id::{RequestId, TenantId};
use shared::ledger::{Ended, Hold, HoldDecision, SettlementOutcome};
use shared::money::Amount;

use super::processes::transactions;
use super::remembered::Counted;
use crate::ledger::books::{Books, capture, in_order, top_up};

const ACCOUNTS: usize = 4;
const TASKS: usize = 8;
const ROUNDS: usize = 200;
/// Once in so many times it is the other process.
const SELDOM: u64 = 80;
/// Little enough that some holds are refused.
const PAID: i64 = 400;

/// What the answers say that an account must have in the end.
#[derive(Default)]
struct Expected {
    posted: AtomicI64,
    refused: AtomicI64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_answer_is_right_whoever_writes_in_between() {
    let counted = Counted::open().await;
    let url = counted.books.database.url().clone();
    let name = counted.books.words("SELECT current_database()::text AS word").remove(0);
    let processes: [Arc<Books>; 2] = std::array::from_fn(|_| Arc::new(counted.books.another_process(&url)));
    let mut accounts = Vec::new();
    for number in 0..ACCOUNTS {
        accounts.push(counted.books.tenant(&format!("tenant {number}"), PAID).await);
    }
    let expected: Arc<[Expected; ACCOUNTS]> = Arc::default();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (processes, accounts, expected) = (processes.clone(), accounts.clone(), Arc::clone(&expected));
            tokio::spawn(async move {
                for _ in 0..ROUNDS {
                    let chance = random();
                    let number = task % ACCOUNTS;
                    // The account's own process, and now and then the other one.
                    let own = (number + usize::from(chance.is_multiple_of(SELDOM))) % 2;
                    let [one, other] = [&processes[own], &processes[1 - own]];
                    step(one, other, accounts[number], &expected[number], chance / SELDOM).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    for (account, expected) in accounts.iter().zip(expected.iter()) {
        let posted = PAID + expected.posted.load(Ordering::Relaxed);
        assert_eq!(counted.books.balance(*account).await, (posted, 0));
    }
    assert!(expected.iter().any(|expected| expected.refused.load(Ordering::Relaxed) > 0), "no balance was too low");
    counted.books.prove().await;
    let (reads, commits) = (counted.reads(), counted.books.commits());
    assert!(reads < commits, "{reads} reads for {commits} commits: nothing was guessed");
    drop((counted, processes));
    // Whether a guess was wrong is chance here; `remembered` makes it certain.
    assert_eq!(transactions(&name).deadlocks, 0);
}

async fn step(one: &Books, other: &Books, account: TenantId, expected: &Expected, chance: u64) {
    if chance.is_multiple_of(32) {
        one.ledger.top_up(top_up(account, 300, &RequestId::new().to_string())).await.unwrap();
        expected.posted.fetch_add(300, Ordering::Relaxed);
        return;
    }
    let amount = 1 + i64::try_from(chance / 32 % 400).unwrap();
    let hold = Hold { amount: Amount::from_nanos(amount), ..one.hold(account, 0) };
    let request = hold.request_id;
    match one.ledger.hold(hold).await.unwrap() {
        HoldDecision::Held => {}
        HoldDecision::Insufficient { needed, available } => {
            assert!(needed.nanos() == amount && available < needed);
            expected.refused.fetch_add(1, Ordering::Relaxed);
            return;
        }
        HoldDecision::Replayed | HoldDecision::Repeated => panic!("every request is new"),
    }
    // Mostly its own process ends it, now and then the other, and now and then both.
    let who = chance / 16_384 % SELDOM;
    let ending: Vec<&Books> = match who {
        0 => vec![other],
        1 => vec![one, other],
        2 => vec![other, one],
        _ => vec![one],
    };
    let cost = amount / 10;
    let (charged, told) = if (chance / 2_097_152).is_multiple_of(3) {
        let answers =
            in_order(ending.iter().map(|books| books.ledger.end(request, account, Ended::Voided)).collect(), || ());
        let answers: Vec<_> = answers.await.into_iter().map(Result::unwrap).collect();
        let ended = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(ended, 1, "{answers:?}");
        let told = answers.into_iter().filter_map(Result::err).flatten().collect::<Vec<_>>();
        (0, told.into_iter().map(|told| (told, SettlementOutcome::Voided)).collect::<Vec<_>>())
    } else {
        let answers =
            in_order(ending.iter().map(|books| books.ledger.capture(capture(request, account, cost))).collect(), || ());
        let answers: Vec<_> = answers.await.into_iter().map(Result::unwrap).collect();
        let paid: Vec<i64> = answers.iter().flatten().map(|captured| captured.paid.nanos()).collect();
        assert_eq!(paid, [cost], "{answers:?}");
        let told = answers.into_iter().filter_map(Result::err).flatten().collect::<Vec<_>>();
        (cost, told.into_iter().map(|told| (told, SettlementOutcome::Captured)).collect())
    };
    assert_eq!(told.len(), ending.len() - 1);
    for (told, outcome) in told {
        assert_eq!((told.outcome, told.amount.nanos()), (outcome, charged));
    }
    expected.posted.fetch_sub(charged, Ordering::Relaxed);
}

fn random() -> u64 {
    u64::from_be_bytes(RequestId::new().as_bytes()[8..].try_into().unwrap()) >> 2
}
