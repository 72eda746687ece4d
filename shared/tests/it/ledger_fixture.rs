//! A ledger on a temporary file, for the tests of the ledger.

use std::path::PathBuf;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use shared::clock::{Clock, Timestamp};
use shared::db::{Connection, Database, DbError};
use shared::id::{ProcessId, RequestId, TenantId, TransferId};
use shared::ledger::{
    AuditReport, Balance, Capture, Charge, Hold, Ledger, LedgerError, Operation, Outcome, TopUp, WriterSettings, apply_one, audit,
    balance, open_account,
};
use shared::money::Amount;
use shared::price::{Basis, PriceVersion};
use shared::queue::Endpoint;
use shared::tokens::Tally;
use tokio::task::JoinSet;

/// One token costs 1e-9.
pub(crate) const PROMPT_PRICE: i64 = 1_000_000;
/// One token costs 3e-9.
pub(crate) const COMPLETION_PRICE: i64 = 3_000_000;

/// A database with a price (version 1) and nothing else.
pub(crate) struct Fixture {
    pub(crate) database: Database,
    pub(crate) clock: Clock,
    _folder: tempfile::TempDir,
}

impl Fixture {
    /// With the accounts 1001, 1002, ... up to `accounts` of them.
    pub(crate) async fn new(accounts: i64, clock: Clock) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (database, _) = Database::open_or_create(&folder.path().join("ledger.db")).unwrap();
        database
            .write(move |connection| {
                connection.batch_execute(&format!(
                    "INSERT INTO prices (version, model, prompt, completion, image, sizes, basis, created_at) \
                     VALUES (1, 'm', {PROMPT_PRICE}, {COMPLETION_PRICE}, 7, '{{}}', 'estimate', 0)"
                ))?;
                for account in 1_001..=1_000 + accounts {
                    open_account(connection, TenantId(account), Timestamp(0))?;
                }
                Ok::<_, DbError>(())
            })
            .await
            .unwrap();
        Self { database, clock, _folder: folder }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.database.path().to_path_buf()
    }

    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::start(&self.database, self.clock.clone(), WriterSettings::default()).unwrap()
    }

    /// As a command does it.
    pub(crate) async fn apply(&self, operation: Operation) -> Result<Outcome, LedgerError> {
        let now = self.clock.now();
        self.database.write(move |connection| apply_one(connection, operation, now)).await
    }

    pub(crate) async fn balance(&self, account: i64) -> Balance {
        self.database.read(move |connection| balance(connection, TenantId(account))).await.unwrap().unwrap()
    }

    pub(crate) async fn audit(&self) -> AuditReport {
        audit(&self.database, &self.clock).await.unwrap()
    }
}

/// Sends all of `operations` before the writer takes the first, so that they share a commit (as far as its bound goes).
/// The answers are in the order of sending.
pub(crate) async fn in_one_batch(fixture: &Fixture, ledger: &Ledger, operations: Vec<Operation>) -> Vec<Result<Outcome, LedgerError>> {
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let (entered, at_gate) = tokio::sync::oneshot::channel();
    let database = fixture.database.clone();
    let blocked = tokio::spawn(async move {
        database
            .write(move |_| {
                entered.send(()).unwrap();
                gate.recv().unwrap();
                Ok::<_, DbError>(())
            })
            .await
    });
    at_gate.await.unwrap();
    let mut asked = JoinSet::new();
    for (number, operation) in operations.into_iter().enumerate() {
        let ledger = ledger.clone();
        let mut run = Box::pin(async move { (number, ledger.run(operation).await) });
        // The first poll puts it into the writer's line, which has room.
        assert!(poll_once(&mut run).await.is_none());
        asked.spawn(run);
    }
    open.send(()).unwrap();
    blocked.await.unwrap().unwrap();
    let mut answers = asked.join_all().await;
    answers.sort_by_key(|(number, _)| *number);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Polls a future once.
pub(crate) async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|context| match std::pin::Pin::new(&mut *future).poll(context) {
        std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}

pub(crate) fn nanos(nanos: i64) -> Amount {
    Amount::from_nanos(nanos)
}

pub(crate) fn top_up(account: i64, amount: i64, reference: &str) -> Operation {
    Operation::TopUp(TopUp {
        id: TransferId::new(),
        account: TenantId(account),
        amount: nanos(amount),
        reference: reference.to_owned(),
        note: None,
    })
}

pub(crate) fn hold(request_id: RequestId, account: i64, amount: i64) -> Hold {
    Hold {
        request_id,
        account: TenantId(account),
        amount: nanos(amount),
        owner: ProcessId::zero(),
        expires_at: Timestamp(i64::MAX),
        price_version: PriceVersion(1),
    }
}

/// What `prompt` and `completion` tokens cost at the fixture's price.
pub(crate) fn charge(prompt: i64, completion: i64) -> Charge {
    Charge {
        key: "abcdefghijkl".parse().unwrap(),
        endpoint: Endpoint::Chat,
        model: "m".to_owned(),
        end_user: None,
        price_version: PriceVersion(1),
        basis: Basis::Estimate,
        prompt: Tally { texts: 1, hanzi: prompt, words: 0, tokens: prompt },
        completion: Tally { texts: 1, hanzi: completion, words: 0, tokens: completion },
        upstream: None,
        images: 0,
        image_size: None,
        prompt_price: nanos(PROMPT_PRICE),
        completion_price: nanos(COMPLETION_PRICE),
        image_price: nanos(0),
        prompt_cost: nanos(prompt),
        completion_cost: nanos(3 * completion),
        image_cost: nanos(0),
        finished_early: false,
    }
}

pub(crate) fn capture(request_id: RequestId, charge: Charge) -> Operation {
    Operation::Capture(Box::new(Capture { request_id, charge }))
}

/// One text.
pub(crate) fn text(connection: &mut Connection, sql: &str) -> String {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        value: String,
    }
    diesel::sql_query(sql).get_result::<Row>(connection).unwrap().value
}

/// One number.
pub(crate) fn number(connection: &mut Connection, sql: &str) -> i64 {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        value: i64,
    }
    diesel::sql_query(sql).get_result::<Row>(connection).unwrap().value
}
