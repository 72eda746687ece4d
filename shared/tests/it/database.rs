//! The database itself: a disk without room, and a file that a newer program has been at.

use diesel::connection::SimpleConnection;
use shared::clock::{Clock, Timestamp};
use shared::config::DatabaseUrl;
use shared::db::{Database, DbError};
use shared::id::{ProcessId, RequestId, TenantId, TransferId};
use shared::ledger::{
    Hold, HoldDecision, Ledger, Operation, TopUp, WriterSettings, apply_one, audit, balance, open_account,
};
use shared::money::Amount;
use shared::price::PriceVersion;

const TENANT: TenantId = TenantId(1_001);

/// A tenant with a million.
async fn database() -> (Database, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let (database, _) = Database::open_or_create(&DatabaseUrl::Sqlite(folder.path().join("full.db"))).unwrap();
    let amount = Amount::from_nanos(1_000_000);
    let top_up = TopUp { id: TransferId::new(), account: TENANT, amount, reference: "r".to_owned(), note: None };
    database
        .write(move |connection| {
            open_account(connection, TENANT, Timestamp(0))?;
            apply_one(connection, Operation::TopUp(top_up), Timestamp(0))
        })
        .await
        .unwrap();
    (database, folder)
}

fn a_hold() -> Hold {
    Hold {
        request_id: RequestId::new(),
        account: TENANT,
        amount: Amount::from_nanos(1),
        owner: ProcessId::new(),
        expires_at: Timestamp(i64::MAX),
        price_version: PriceVersion(1),
    }
}

/// On such an error SQLite ends the transaction by itself. The writer's connection must be fit for use when there is room again.
#[tokio::test]
async fn a_full_disk_refuses_until_there_is_room() {
    let (database, _folder) = database().await;
    let ledger = Ledger::start(&database, Clock::System, WriterSettings::default()).unwrap();
    let limit = async |pages: i64| {
        let limit = format!("PRAGMA max_page_count = {pages}");
        database.write(move |connection| Ok::<_, DbError>(connection.batch_execute(&limit)?)).await.unwrap();
    };
    // Less than there are now means: no more than now.
    limit(1).await;
    let (mut held, mut refused) = (0, None);
    while refused.is_none() && held < 5_000 {
        match ledger.hold(a_hold()).await {
            Ok(decision) => {
                assert_eq!(decision, HoldDecision::Held);
                held += 1;
            }
            Err(error) => refused = Some(error.to_string()),
        }
    }
    assert!(refused.is_some_and(|message| message.contains("full")));
    assert!(ledger.is_failing());

    limit(1_000_000).await;
    for _ in 0..100 {
        assert_eq!(ledger.hold(a_hold()).await.unwrap(), HoldDecision::Held);
    }
    assert!(!ledger.is_failing());
    let balance = database.read(|connection| balance(connection, TENANT)).await.unwrap().unwrap();
    assert_eq!(balance.held, Amount::from_nanos(held + 100), "every hold that was answered, and no other");
    assert!(audit(&database, &Clock::System).await.unwrap().ok);
}

#[tokio::test]
async fn the_file_of_a_newer_program_is_left_alone() {
    let (database, _folder) = database().await;
    let newer = "INSERT INTO __diesel_schema_migrations (version) VALUES ('99991231000001')";
    database.write(|connection| Ok::<_, DbError>(connection.batch_execute(newer)?)).await.unwrap();
    for opened in [Database::open(database.url()), Database::open_or_create(database.url()).map(|(opened, _)| opened)] {
        assert!(matches!(&opened, Err(DbError::Migration(why)) if why.contains("99991231000001")), "{opened:?}");
    }
}
