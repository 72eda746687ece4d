//! Rotating a key: once for whoever holds it, as often as they like for those who operate the service.

use std::sync::Arc;

use shared::clock::Timestamp;
use shared::key::{self, Key, KeyError, KeyPolicy, NewSecret};
use shared::secret_key::{HashedSecretKey, KeyId};

use super::START;
use crate::ledger::books::Books;

fn secret() -> NewSecret {
    let hash = HashedSecretKey::from_stored("none".to_owned());
    NewSecret { id: KeyId::generate().unwrap(), hash, last_four: "abcd".to_owned() }
}

async fn rotate_once(books: &Books, id: KeyId, by: KeyId) -> Result<(Key, Timestamp), KeyError> {
    let (secret, now) = (secret(), books.clock.now());
    books.change(move |connection| key::rotate_once(connection, id, by, now.plus_ms(1_000), &secret, now)).await
}

#[tokio::test]
async fn a_key_that_was_rotated_gives_no_other_one_but_by_an_operator() {
    let books = Books::at(START).await;
    let tenant = books.tenant("acme", 0).await;
    let expires_at = Some(START.plus_ms(500));
    let all = books.key(tenant, KeyPolicy::default()).await.id;
    let old = books.key(tenant, KeyPolicy { expires_at, ..KeyPolicy::default() }).await.id;
    let refused = |of: KeyId, at: i64, outcome: Result<(Key, Timestamp), KeyError>| match outcome {
        Err(KeyError::Rotated { id, ends_at }) => assert_eq!((id, ends_at), (of, START.plus_ms(at))),
        other => panic!("{other:?}"),
    };
    // Its own end is sooner than its grace.
    let (next, old_ends_at) = rotate_once(&books, old, old).await.unwrap();
    assert_eq!(old_ends_at, START.plus_ms(500));
    for by in [old, all] {
        refused(old, 500, rotate_once(&books, old, by).await);
    }
    refused(old, 500, rotate_once(&books, next.id, old).await);
    let (third, _) = rotate_once(&books, next.id, all).await.unwrap();

    let secret = secret();
    let operators = books.change::<_, KeyError>(move |connection| {
        key::rotate(connection, old.as_str(), START.plus_ms(100), &secret, START)
    });
    assert_eq!(operators.await.unwrap().1, START.plus_ms(100));
    refused(old, 100, rotate_once(&books, old, all).await);

    // What has ended is said first.
    books.advance(100);
    for (id, by) in [(old, all), (third.id, old)] {
        let ended = rotate_once(&books, id, by).await;
        assert!(matches!(ended, Err(KeyError::Ended(id)) if id == old), "{ended:?}");
    }
    assert_eq!(books.look(move |connection| key::list(connection, tenant)).await.len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_rotate_one_key_at_once() {
    let books = Arc::new(Books::new().await);
    let tenant = books.tenant("acme", 0).await;
    let old = books.key(tenant, KeyPolicy::default()).await.id;
    let processes = [Arc::clone(&books), Arc::new(books.another_process(books.database.url()))];
    let rotating = (0..20).map(|number| {
        let books = Arc::clone(&processes[number % 2]);
        tokio::spawn(async move { rotate_once(&books, old, old).await })
    });
    let rotating: Vec<_> = rotating.collect();
    let mut made = 0;
    for rotated in rotating {
        match rotated.await.unwrap() {
            Ok(_) => made += 1,
            Err(KeyError::Rotated { id, .. }) => assert_eq!(id, old),
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(made, 1);
    assert_eq!(books.look(move |connection| key::list(connection, tenant)).await.len(), 2);
}
