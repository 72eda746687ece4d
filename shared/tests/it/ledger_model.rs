//! The ledger against a model of it: thousands of random operations, in batches that share commits, and after each batch every
//! answer and every balance must be the model's.

use std::collections::HashMap;

use shared::clock::Clock;
use shared::id::{RequestId, TenantId, TransferId};
use shared::ledger::{
    Captured, Ended, HoldDecision, Ledger, LedgerError, Operation, Outcome, Reversal, Settlement, SettlementOutcome, TopUp,
    TopUpDecision, WriterSettings, totals,
};
use shared::money::Amount;

use crate::ledger_fixture::{Fixture, capture, charge, hold, in_one_batch, nanos};

const RUNS: u64 = 20;
const STEPS: usize = 600;
const ACCOUNTS: i64 = 8;

#[tokio::test]
async fn every_answer_and_balance_is_the_models() {
    // One seed is new each time; on a failure the message names it.
    let fresh = u64::from_be_bytes(RequestId::new().as_bytes()[8..].try_into().unwrap());
    for seed in (1..RUNS).chain([fresh]) {
        run(seed).await;
    }
}

async fn run(seed: u64) {
    let mut random = Random(seed);
    let fixture = Fixture::new(ACCOUNTS, Clock::System).await;
    let batch = [1, 5, 64, 256][random.below(4)];
    let settings = WriterSettings { batch, ..WriterSettings::default() };
    let ledger = Ledger::start(&fixture.database, fixture.clock.clone(), settings).unwrap();
    let mut model = Model::default();

    let mut steps = 0;
    while steps < STEPS {
        let operations: Vec<Operation> = (0..=random.below(64))
            .map(|_| {
                let operation = model.invent(&mut random);
                let answer = model.answer(&operation);
                model.expected.push(answer);
                operation
            })
            .collect();
        steps += operations.len();
        let shown = format!("seed {seed}, batches of {batch}: {operations:#?}");
        let found: Vec<Result<Outcome, Refused>> =
            in_one_batch(&fixture, &ledger, operations).await.into_iter().map(|answer| answer.map_err(Refused::from)).collect();
        for (index, (found, expected)) in found.iter().zip(std::mem::take(&mut model.expected)).enumerate() {
            assert_eq!(*found, expected, "answer {index} of {shown}");
        }
        for account in 1_001..=1_000 + ACCOUNTS {
            let balance = fixture.balance(account).await;
            let expected = model.accounts.get(&account).copied().unwrap_or_default();
            assert_eq!((balance.posted.nanos(), balance.held.nanos()), (expected.posted, expected.held), "account {account} after {shown}");
        }
    }

    let report = fixture.audit().await;
    assert!(report.ok, "seed {seed}: {:?}", report.violations);
    for (account, expected) in model.accounts {
        let totals = fixture.database.read(move |connection| totals(connection, TenantId(account))).await.unwrap().unwrap();
        assert_eq!(totals.granted.nanos(), expected.topped_up, "seed {seed}");
        assert_eq!(totals.used.nanos(), expected.topped_up - expected.posted, "seed {seed}");
    }
}

/// Why an operation has no answer.
#[derive(Debug, PartialEq)]
enum Refused {
    NoSuchAccount(i64),
    OutOfRange,
    Else(String),
}

impl From<LedgerError> for Refused {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::NoSuchAccount(account) => Self::NoSuchAccount(account.0),
            LedgerError::TooLarge => Self::OutOfRange,
            other => Self::Else(other.to_string()),
        }
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct ModelAccount {
    posted: i64,
    held: i64,
    topped_up: i64,
}

#[derive(Debug, Clone, Copy)]
struct ModelRequest {
    account: i64,
    held: i64,
    end: Option<Settlement>,
    reversed: bool,
}

/// What the ledger should do, written down as plainly as possible.
#[derive(Default)]
struct Model {
    accounts: HashMap<i64, ModelAccount>,
    requests: HashMap<RequestId, ModelRequest>,
    payments: HashMap<(i64, String), (TransferId, i64)>,
    /// In the order of their making, to choose from.
    known: Vec<RequestId>,
    expected: Vec<Result<Outcome, Refused>>,
}

impl Model {
    fn answer(&mut self, operation: &Operation) -> Result<Outcome, Refused> {
        match operation {
            Operation::TopUp(top_up) => self.pay(top_up),
            Operation::Hold(hold) => {
                if hold.amount < Amount::ZERO {
                    return Err(Refused::OutOfRange);
                }
                let replayed = self.requests.contains_key(&hold.request_id);
                let account = self.account(hold.account)?;
                if replayed {
                    return Ok(Outcome::Hold(HoldDecision::Replayed));
                }
                let available = account.posted - account.held;
                if available < hold.amount.nanos() {
                    return Ok(Outcome::Hold(HoldDecision::Insufficient { needed: hold.amount, available: nanos(available) }));
                }
                account.held += hold.amount.nanos();
                let request = ModelRequest { account: hold.account.0, held: hold.amount.nanos(), end: None, reversed: false };
                self.requests.insert(hold.request_id, request);
                self.known.push(hold.request_id);
                Ok(Outcome::Hold(HoldDecision::Held))
            }
            Operation::Capture(capture) => {
                let Some(request) = self.requests.get_mut(&capture.request_id) else { return Ok(Outcome::NoSuchHold) };
                if let Some(end) = request.end {
                    return Ok(Outcome::AlreadySettled(end));
                }
                let charge = &capture.charge;
                let parts = [charge.prompt_cost, charge.completion_cost, charge.image_cost].map(Amount::nanos);
                let total = parts.into_iter().try_fold(0_i64, i64::checked_add).filter(|_| parts.iter().all(|part| *part >= 0));
                let total = total.ok_or(Refused::OutOfRange)?;
                let account = self.accounts.get_mut(&request.account).unwrap();
                account.held -= request.held;
                let paid = total.min(account.posted - account.held);
                account.posted -= paid;
                request.end = Some(Settlement { outcome: SettlementOutcome::Captured, amount: nanos(paid) });
                Ok(Outcome::Captured(Captured { paid: nanos(paid), written_off: nanos(total - paid) }))
            }
            Operation::End(id, ended) => {
                let Some(request) = self.requests.get_mut(id) else { return Ok(Outcome::NoSuchHold) };
                if let Some(end) = request.end {
                    return Ok(Outcome::AlreadySettled(end));
                }
                self.accounts.get_mut(&request.account).unwrap().held -= request.held;
                let outcome = if *ended == Ended::Voided { SettlementOutcome::Voided } else { SettlementOutcome::Expired };
                request.end = Some(Settlement { outcome, amount: Amount::ZERO });
                Ok(Outcome::Ended)
            }
            Operation::ReverseCapture(id) => {
                let request = self.requests.get_mut(id);
                let Some((request, paid)) = request.and_then(|request| request.end.map(|end| (request, end.amount.nanos()))) else {
                    return Ok(Outcome::Reversal(Reversal::NothingCaptured));
                };
                if paid == 0 {
                    return Ok(Outcome::Reversal(Reversal::NothingCaptured));
                }
                if request.reversed {
                    return Ok(Outcome::Reversal(Reversal::Already));
                }
                let account = self.accounts.get_mut(&request.account).unwrap();
                account.posted = account.posted.checked_add(paid).ok_or(Refused::OutOfRange)?;
                request.reversed = true;
                Ok(Outcome::Reversal(Reversal::Reversed(nanos(paid))))
            }
        }
    }

    fn pay(&mut self, top_up: &TopUp) -> Result<Outcome, Refused> {
        let payment = (top_up.account.0, top_up.reference.clone());
        let earlier = self.payments.get(&payment).copied();
        let account = self.account(top_up.account)?;
        let amount = top_up.amount.nanos();
        if amount <= 0 {
            return Err(Refused::OutOfRange);
        }
        let decision = match earlier {
            Some((id, before)) if before == amount => TopUpDecision::Posted { id, posted: nanos(account.posted), replayed: true },
            Some((_, before)) => TopUpDecision::ReferenceTaken { amount: nanos(before) },
            None => {
                account.posted = account.posted.checked_add(amount).ok_or(Refused::OutOfRange)?;
                account.topped_up += amount;
                let posted = nanos(account.posted);
                self.payments.insert(payment, (top_up.id, amount));
                TopUpDecision::Posted { id: top_up.id, posted, replayed: false }
            }
        };
        Ok(Outcome::TopUp(decision))
    }

    fn account(&mut self, account: TenantId) -> Result<&mut ModelAccount, Refused> {
        if !(1_001..=1_000 + ACCOUNTS).contains(&account.0) {
            return Err(Refused::NoSuchAccount(account.0));
        }
        Ok(self.accounts.entry(account.0).or_default())
    }

    /// An operation that may or may not make sense now.
    fn invent(&self, random: &mut Random) -> Operation {
        // Now and then one account more than there are, and a house account.
        let account = match random.below(60) {
            0 => 1_001 + ACCOUNTS,
            1 => 2,
            _ => 1_001 + random.below(ACCOUNTS as usize) as i64,
        };
        let free = self.accounts.get(&account).map_or(0, |account| account.posted - account.held);
        match random.below(100) {
            0..15 => {
                let amount = [0, -1, i64::MAX, 1, 40, 40, 500, 500, 2_000][random.below(9)];
                let reference = if random.below(3) == 0 { random.below(4) } else { random.below(1_000_000) };
                let reference = format!("payment {reference}");
                Operation::TopUp(TopUp { id: TransferId::new(), account: TenantId(account), amount: nanos(amount), reference, note: None })
            }
            15..50 => {
                let id = if random.below(10) == 0 { self.choose(random) } else { RequestId::new() };
                let amount = [0, -1, i64::MAX, free + 1, free, free / 2, 10, 10, 30, 30][random.below(10)];
                Operation::Hold(hold(id, account, amount))
            }
            50..75 => {
                let id = self.choose(random);
                let request = self.requests.get(&id);
                let held = request.map_or(0, |request| request.held);
                let free = request.and_then(|request| self.accounts.get(&request.account)).map_or(0, |account| account.posted - account.held);
                // Below the hold, equal to it, above it within the free balance, and above all there is.
                let total = [0, held / 2, held - held.min(3), held, held + free / 2, held + free, held + free + 7][random.below(7)];
                let mut charge = charge(total % 1_000_000_000, 0);
                match random.below(12) {
                    0 => charge = crate::ledger_fixture::charge(held % 5, held / 4 % 1_000_000),
                    1 => charge.completion_cost = nanos(-1),
                    2 => (charge.completion_cost, charge.image_cost) = (nanos(i64::MAX), nanos(1)),
                    _ => {}
                }
                capture(id, charge)
            }
            75..85 => Operation::End(self.choose(random), if random.below(2) == 0 { Ended::Voided } else { Ended::Expired }),
            _ => Operation::ReverseCapture(self.choose(random)),
        }
    }

    /// A request, most often a late one; sometimes one that is not known.
    fn choose(&self, random: &mut Random) -> RequestId {
        if self.known.is_empty() || random.below(20) == 0 {
            return RequestId::new();
        }
        let window = if random.below(4) == 0 { self.known.len() } else { self.known.len().min(12) };
        self.known[self.known.len() - 1 - random.below(window)]
    }
}

/// Splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}
