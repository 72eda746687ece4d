//! When keys were last used: written down once a minute, without moving the epoch.

use shared::key::{self, KeyPolicy};
use shared::secret_key::TagKey;

use super::START;
use crate::ledger::books::Books;

#[tokio::test]
async fn once_a_minute_and_whoever_writes_it() {
    let books = Books::at(START).await;
    let tenant = books.tenant("t", 0).await;
    let tag_key = TagKey::generate().unwrap();
    let (key, plain) = books.issue(tenant, &tag_key, KeyPolicy::default()).await;
    let (id, epoch) = (key.id, books.epoch().await);
    // Two processes.
    let (one, other) = (books.keyring(&tag_key, &epoch), books.keyring(&tag_key, &epoch));
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
