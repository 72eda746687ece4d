//! When keys were last used: written down once a minute, without moving the epoch.

use std::time::Duration;

use shared::clock::Clock;
use shared::epoch::EpochWatch;
use shared::key::{self, KeyError, KeyPolicy, NewSecret};
use shared::keyring::{Keyring, KeyringSettings};
use shared::secret_key::{PlainSecretKey, TagKey, hash};

use super::START;
use crate::ledger::books::Books;

const SETTINGS: KeyringSettings = KeyringSettings { remember: Duration::from_secs(30), entries: 100, hashes: 1 };

#[tokio::test]
async fn once_a_minute_and_whoever_writes_it() {
    let books = Books::at(START).await;
    let tenant = books.tenant("t", 0).await;
    let tag_key = TagKey::generate().unwrap();
    let (id, plain) = PlainSecretKey::generate(&tag_key).unwrap();
    let secret = NewSecret { id, hash: hash(&plain).unwrap(), last_four: "abcd".to_owned() };
    books
        .change::<_, KeyError>(move |connection| key::issue(connection, tenant, KeyPolicy::default(), &secret, START))
        .await
        .unwrap();
    // Two processes, each with a keyring of its own and a clock of its own for what it remembers of the epoch.
    let epoch = EpochWatch::start(&books.database, Clock::manual(START)).await.unwrap();
    let keyring = || {
        let tag_key = TagKey::from_bytes(tag_key.expose()).unwrap();
        Keyring::new(books.database.clone(), epoch.clone(), books.clock.clone(), tag_key, SETTINGS).unwrap()
    };
    let (one, other) = (keyring(), keyring());
    let last_used = async || {
        let found = books.look(move |connection| key::overview(connection, id)).await.unwrap();
        found.key.last_used_at.map(|at| at.since(START))
    };
    let epochs = || books.numbers("SELECT value AS number FROM epoch");
    let before = epochs();
    assert_eq!(last_used().await, None);

    one.authenticate(plain.expose()).await.unwrap();
    assert_eq!(last_used().await, None, "a call does not wait for it");
    one.write_uses().await.unwrap();
    assert_eq!(last_used().await, Some(0));
    books.advance(59_999);
    one.authenticate(plain.expose()).await.unwrap();
    one.write_uses().await.unwrap();
    assert_eq!(last_used().await, Some(0), "less than a minute ago");
    // The other one knows of it from the row.
    other.authenticate(plain.expose()).await.unwrap();
    other.write_uses().await.unwrap();
    assert_eq!(last_used().await, Some(0));
    books.advance(1);
    one.authenticate(plain.expose()).await.unwrap();
    other.authenticate(plain.expose()).await.unwrap();
    one.write_uses().await.unwrap();
    assert_eq!(last_used().await, Some(60_000));
    books.advance(30_000);
    other.write_uses().await.unwrap();
    assert_eq!(last_used().await, Some(60_000), "what another process wrote meanwhile stays");

    assert_eq!(epochs(), before);
    one.authenticate("sk-xy of nobody").await.unwrap_err();
    let overview = books.look(move |connection| shared::tenant::by_id(connection, tenant)).await.unwrap();
    assert_eq!(overview.last_used_at, Some(START.plus_ms(60_000)));
}
