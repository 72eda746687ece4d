//! Forms that were sent: each makes one call, in whichever process, for as long as it is taken.

use std::sync::Arc;

use shared::calls;
use shared::db::DbError;
use shared::id::RequestId;
use shared::key::KeyPolicy;
use shared::secret_key::KeyId;
use shared::sent_forms::{self, SentForm};

use super::START;
use crate::ledger::books::{Books, request_at};

const HOUR_MS: i64 = 3_600_000;

async fn send(books: &Books, form: RequestId, key: KeyId, call: RequestId) -> Option<SentForm> {
    let now = books.clock.now();
    let sent = books.change::<_, DbError>(move |connection| {
        let known = sent_forms::find(connection, form, key)?;
        if known.is_none() {
            sent_forms::remember(connection, form, key, call, now)?;
        }
        Ok(known)
    });
    sent.await.unwrap()
}

async fn find(books: &Books, form: RequestId, key: KeyId) -> Option<SentForm> {
    books.look(move |connection| sent_forms::find(connection, form, key)).await
}

#[tokio::test]
async fn a_form_makes_one_call_of_its_own_key() {
    let books = Books::at(START).await;
    let tenant = books.tenant("acme", 0).await;
    let (key, other) =
        (books.key(tenant, KeyPolicy::default()).await.id, books.key(tenant, KeyPolicy::default()).await.id);
    let (form, call) = (RequestId::new(), RequestId::new());
    assert_eq!(find(&books, form, key).await, None);
    assert_eq!(send(&books, form, key, call).await, None);
    for _ in 0..2 {
        assert_eq!(send(&books, form, key, RequestId::new()).await, Some(SentForm::Made(call)));
        assert_eq!(send(&books, form, other, RequestId::new()).await, Some(SentForm::Foreign));
    }
    assert_eq!(find(&books, form, key).await, Some(SentForm::Made(call)));
    assert_eq!(find(&books, form, other).await, Some(SentForm::Foreign));
    let now = books.clock.now();
    let again = books.change(move |connection| sent_forms::remember(connection, form, key, RequestId::new(), now));
    assert!(matches!(again.await, Err(DbError::Query(_))), "whatever the program does");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_twenty_at_once_one_makes_its_call() {
    let books = Arc::new(Books::new().await);
    let tenant = books.tenant("acme", 0).await;
    let key = books.key(tenant, KeyPolicy::default()).await.id;
    let form = RequestId::new();
    let processes = [Arc::clone(&books), Arc::new(books.another_process(books.database.url()))];
    let sending = (0..20).map(|number| {
        let (books, call) = (Arc::clone(&processes[number % 2]), RequestId::new());
        tokio::spawn(async move { (call, send(&books, form, key, call).await) })
    });
    let sending: Vec<_> = sending.collect();
    let (mut made, mut told) = (Vec::new(), Vec::new());
    for sent in sending {
        match sent.await.unwrap() {
            (call, None) => made.push(call),
            (_, Some(SentForm::Made(call))) => told.push(call),
            (_, Some(SentForm::Foreign)) => panic!("its own key"),
        }
    }
    assert_eq!((made.len(), told.len()), (1, 19));
    assert!(told.iter().all(|call| *call == made[0]));
}

#[tokio::test]
async fn a_form_is_forgotten_when_it_is_too_old_to_be_taken() {
    let books = Books::at(START).await;
    let tenant = books.tenant("acme", 0).await;
    let key = books.key(tenant, KeyPolicy::default()).await.id;
    for number in 0..600 {
        send(&books, request_at(START, number), key, RequestId::new()).await;
    }
    // Opened a day ago, sent just now.
    let late = request_at(START.plus_ms(-24 * HOUR_MS), 0);
    send(&books, late, key, RequestId::new()).await;
    let kept = || books.numbers("SELECT count(*) AS number FROM sent_forms")[0];
    let purge = async || {
        let now = books.clock.now();
        books.database.write(move |connection| calls::purge(connection, 90, now)).await.unwrap()
    };
    assert!(!purge().await);
    assert_eq!(kept(), 601, "clocks may differ by an hour");
    books.advance(HOUR_MS + 1);
    assert!(!purge().await);
    assert_eq!((kept(), find(&books, late, key).await), (600, None));
    books.advance(24 * HOUR_MS - 1);
    assert!(!purge().await);
    assert_eq!(kept(), 600);
    books.advance(1);
    assert!(purge().await, "a step removes 500");
    assert!(!purge().await);
    assert_eq!(kept(), 0);
}
