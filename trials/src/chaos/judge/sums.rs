//! The books by themselves: nothing negative, nothing twice, nothing that does not add up.

use std::collections::HashMap;

use super::{Account, Evidence, Verdict};
use crate::chaos::books::Books;

/// Checks the books and gives what they say of each request, by marker.
pub(super) fn check(evidence: &Evidence, verdict: &mut Verdict) -> HashMap<String, Account> {
    let (mut wrong, mut negative, mut held) = (Vec::new(), Vec::new(), Vec::new());
    let mut accounts: HashMap<String, Account> = HashMap::new();
    for (tenant, books) in evidence.books.iter().enumerate() {
        wrong.extend(differences(tenant, books));
        negative.extend(books.entries.iter().filter(|entry| entry.balance < 0).map(|entry| format!("{entry:?}")));
        if books.posted < 0 {
            negative.push(format!("tenant {tenant}: {}", books.posted));
        }
        if books.held != 0 {
            held.push(format!("tenant {tenant}: {}", books.held));
        }
        verdict.figures.topped_up += books.topped_up;
        verdict.figures.balances += books.posted;
        wrong.extend(collect(tenant, books, &mut accounts));
    }
    verdict.figures.charged = accounts.values().map(|account| account.net).sum();
    verdict.figures.charges = accounts.values().filter(|account| account.net > 0).count();
    let (topped_up, rest) = (verdict.figures.topped_up, verdict.figures.balances + verdict.figures.charged);
    if topped_up != rest {
        wrong.push(format!("{topped_up} was topped up, but balances and charges are {rest}"));
    }
    let twice = accounts.iter().filter(|(_, account)| account.captures > 1);
    let twice = twice.map(|(marker, account)| format!("{marker}: {account:?}")).collect();
    verdict.broken("a request was charged twice", twice);
    verdict.broken("a balance is negative", negative);
    verdict.broken("money is still held", held);
    verdict.broken("the books do not add up", wrong);
    accounts
}

fn differences(tenant: usize, books: &Books) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut balance = 0;
    for entry in &books.entries {
        balance += entry.amount;
        if balance != entry.balance {
            wrong.push(format!("tenant {tenant}: the balance should be {balance} in {entry:?}"));
            balance = entry.balance;
        }
        if let Some(charge) = &entry.charge
            && entry.kind == "capture"
            && charge.reckoned != -entry.amount
        {
            wrong.push(format!("tenant {tenant}: its components come to {} in {entry:?}", charge.reckoned));
        }
    }
    if balance != books.posted {
        wrong.push(format!("tenant {tenant}: the balance is {}, its entries come to {balance}", books.posted));
    }
    let topped_up: i64 = books.entries.iter().filter(|entry| entry.kind == "top_up").map(|entry| entry.amount).sum();
    if topped_up != books.topped_up {
        wrong.push(format!("tenant {tenant}: it paid {}, but {topped_up} was booked", books.topped_up));
    }
    wrong
}

/// Adds the entries of one tenant to the accounts of the requests; what belongs to none is wrong.
fn collect(tenant: usize, books: &Books, accounts: &mut HashMap<String, Account>) -> Vec<String> {
    let mut markers: HashMap<&str, &str> = HashMap::new();
    for entry in &books.entries {
        if let (Some(request_id), Some(charge)) = (&entry.request_id, &entry.charge) {
            markers.insert(request_id, &charge.marker);
        }
    }
    let mut wrong = Vec::new();
    for entry in books.entries.iter().filter(|entry| entry.kind != "top_up") {
        let request_id = entry.request_id.as_deref();
        let Some(marker) = request_id.and_then(|request_id| markers.get(request_id)) else {
            wrong.push(format!("it belongs to no request: {entry:?}"));
            continue;
        };
        let account = accounts.entry((*marker).to_owned()).or_default();
        account.captures += usize::from(entry.kind == "capture");
        account.net -= entry.amount;
        let tokens = entry.charge.as_ref().map_or(0, |charge| charge.completion_tokens);
        account.completion_tokens = account.completion_tokens.max(tokens);
        if account.request_id.as_deref().is_some_and(|known| Some(known) != request_id) {
            wrong.push(format!("{marker} was charged under two request ids: {account:?}, {entry:?}"));
        }
        account.request_id = request_id.map(str::to_owned);
        account.tenant = tenant;
    }
    wrong
}
