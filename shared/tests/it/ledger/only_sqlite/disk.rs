//! A disk without room.

use diesel::connection::SimpleConnection;
use shared::clock::Clock;
use shared::db::DbError;
use shared::ledger::{HoldDecision, audit};
use testkit::Pair;

use crate::ledger::books::Books;

/// On such an error SQLite ends the transaction by itself. The writer's connection must be fit for use when there is room again.
#[tokio::test]
async fn a_full_disk_refuses_until_there_is_room() {
    let books = Books::on(Pair::Embedded, Clock::System).await;
    let tenant = books.tenant("t", 1_000_000).await;
    let (database, ledger) = (books.database.clone(), books.ledger.clone());
    let limit = async |pages: i64| {
        let limit = format!("PRAGMA max_page_count = {pages}");
        database.write(move |connection| Ok::<_, DbError>(connection.batch_execute(&limit)?)).await.unwrap();
    };
    // Less than there are now means: no more than now.
    limit(1).await;
    let (mut held, mut refused) = (0, None);
    while refused.is_none() && held < 5_000 {
        match ledger.hold(books.hold(tenant, 1)).await {
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
        assert_eq!(ledger.hold(books.hold(tenant, 1)).await.unwrap(), HoldDecision::Held);
    }
    assert!(!ledger.is_failing());
    assert_eq!(books.balance(tenant).await.1, held + 100, "every hold that was answered, and no other");
    assert!(audit(&database, &Clock::System).await.unwrap().ok);
}
