//! Looking for tenants and for keys.

use shared::clock::Timestamp;
use shared::id::TenantId;
use shared::key::{self, Key, KeyError, KeyFilter, KeyOverview, KeyPolicy, KeyState, NewSecret};
use shared::ledger::Balance;
use shared::money::Amount;
use shared::page::Cursor;
use shared::secret_key::HashedSecretKey;
use shared::tenant::{self, TenantError};

use super::{START, there_and_back};
use crate::ledger::books::Books;

fn named(name: &str) -> KeyPolicy {
    KeyPolicy { name: name.to_owned(), ..KeyPolicy::default() }
}

async fn tenants(books: &Books, part: &'static str) -> Vec<String> {
    let at = |cursor| books.look(move |connection| tenant::search(connection, part, cursor, 2));
    let found = there_and_back(at, |row| row.tenant.id).await;
    found.into_iter().map(|row| row.tenant.name).collect()
}

#[tokio::test]
async fn tenants_by_name() {
    let books = Books::at(START).await;
    for name in ["acme", "Acme 2", "100%", "a_b", "小易", "another"] {
        books.tenant(name, 0).await;
        books.advance(1_000);
    }
    assert_eq!(tenants(&books, "").await, ["another", "小易", "a_b", "100%", "Acme 2", "acme"]);
    assert_eq!(tenants(&books, "ACME").await, ["Acme 2", "acme"]);
    assert_eq!(tenants(&books, "易").await, ["小易"]);
    assert_eq!(tenants(&books, "%").await, ["100%"]);
    assert_eq!(tenants(&books, "_").await, ["a_b"]);
    assert_eq!(tenants(&books, "nobody").await, [""; 0]);
}

#[tokio::test]
async fn names_of_ids() {
    let books = Books::at(START).await;
    let ids = [books.tenant("acme", 0).await, books.tenant("小易", 0).await, books.tenant("another", 0).await];
    let wanted = [ids[1], TenantId(9_999), ids[0], ids[1]];
    let names = books.look(move |connection| tenant::names(connection, wanted)).await;
    assert_eq!(names.into_iter().collect::<Vec<_>>(), [(ids[0], "acme".to_owned()), (ids[1], "小易".to_owned())]);
    assert!(books.look(|connection| tenant::names(connection, [])).await.is_empty());
}

#[tokio::test]
async fn a_tenant_at_a_glance() {
    let books = Books::at(START).await;
    let tenant = books.tenant("acme", 1_000).await;
    books.tenant("another", 5).await;
    books.held(tenant, 300).await;
    let keys = [books.key(tenant, named("one")).await, books.key(tenant, named("two")).await];
    let (revoked, now) = (keys[0].id, books.clock.now());
    books.change::<_, KeyError>(move |connection| key::revoke(connection, revoked.as_str(), now)).await.unwrap();
    let by_id = || books.look(move |connection| tenant::by_id(connection, tenant));
    let found = by_id().await.unwrap();
    assert_eq!(found.tenant.name, "acme");
    assert_eq!((found.created_at, found.keys, found.last_used_at), (START, 1, None));
    assert_eq!(found.balance, Balance { posted: Amount::from_nanos(1_000), held: Amount::from_nanos(300) });
    books
        .change::<_, TenantError>(move |connection| tenant::set_suspended(connection, "acme", Some(now)))
        .await
        .unwrap();
    assert_eq!(by_id().await.unwrap().tenant.suspended_at, Some(START));
    let found = by_id().await.unwrap();
    let listed = books.look(|connection| tenant::search(connection, "acme", Cursor::First, 9)).await;
    assert_eq!(listed.rows, [found]);
    assert_eq!(books.look(|connection| tenant::by_id(connection, TenantId(1))).await, None, "a house account");
}

#[tokio::test]
async fn keys_of_all_tenants() {
    let books = Books::at(START).await;
    let (acme, other) = (books.tenant("acme", 0).await, books.tenant("other", 0).await);
    let ends = |policy: KeyPolicy, after_ms| KeyPolicy { expires_at: Some(START.plus_ms(after_ms)), ..policy };
    let policies = [
        (acme, named("production")),
        (other, named("Production 2")),
        (acme, ends(named("for a while"), 1_000)),
        (acme, ends(named("for long"), 1_000_000)),
        (other, named("to be revoked")),
        (other, ends(named("to be revoked after its end"), 1_000)),
    ];
    let mut keys: Vec<Key> = Vec::new();
    for (tenant, policy) in policies {
        books.advance(i64::try_from(keys.len() % 2).unwrap());
        keys.push(books.key(tenant, policy).await);
    }
    for id in [keys[4].id, keys[5].id] {
        let now = books.clock.now();
        books.change::<_, KeyError>(move |connection| key::revoke(connection, id.as_str(), now)).await.unwrap();
    }
    books.advance(2_000);
    let now = books.clock.now();
    let shown = async |filter: KeyFilter, now: Timestamp| -> Vec<usize> {
        let at = |cursor| {
            let filter = filter.clone();
            books.look(move |connection| key::search(connection, &filter, cursor, 2, now))
        };
        let found = there_and_back(at, |row| row.key.id).await;
        let place = |row: &KeyOverview| keys.iter().position(|key| key.id == row.key.id).unwrap();
        let mut shown: Vec<usize> = found.iter().map(place).collect();
        // Keys of one moment come in the order of their ids, which are random.
        shown.sort_unstable();
        shown
    };
    let all = KeyFilter::default();
    let in_state = |state| KeyFilter { state: Some(state), ..KeyFilter::default() };
    assert_eq!(shown(all.clone(), now).await, [0, 1, 2, 3, 4, 5]);
    assert_eq!(shown(in_state(KeyState::Active), now).await, [0, 1, 3]);
    assert_eq!(shown(in_state(KeyState::Expired), now).await, [2]);
    assert_eq!(shown(in_state(KeyState::Revoked), now).await, [4, 5]);
    assert_eq!(shown(in_state(KeyState::Active), START).await, [0, 1, 2, 3]);
    assert_eq!(shown(KeyFilter { tenant: Some(acme), ..in_state(KeyState::Active) }, now).await, [0, 3]);
    assert_eq!(shown(KeyFilter { text: "PRODUCTION".to_owned(), ..all.clone() }, now).await, [0, 1]);
    assert_eq!(shown(KeyFilter { text: keys[2].id.to_string(), ..all.clone() }, now).await, [2]);
    assert_eq!(shown(KeyFilter { text: keys[3].last_four.clone(), ..all.clone() }, now).await, [3]);
    assert_eq!(
        shown(KeyFilter { tenant: Some(other), text: "for".to_owned(), ..all.clone() }, now).await,
        [0_usize; 0]
    );
    // What a list says of a state is what a key says itself.
    for state in KeyState::ALL {
        let by_key: Vec<usize> = (0..keys.len()).filter(|number| *number != 4 && *number != 5).collect();
        let by_key: Vec<usize> = by_key.into_iter().filter(|number| keys[*number].state(now) == state).collect();
        let by_list: Vec<usize> = shown(in_state(state), now).await.into_iter().filter(|number| *number < 4).collect();
        assert_eq!(by_list, by_key, "{state}");
    }
    let newest =
        books.look(move |connection| key::search(connection, &KeyFilter::default(), Cursor::First, 9, now)).await;
    assert!(newest.rows.is_sorted_by_key(|row| std::cmp::Reverse(row.key.created_at)));

    let (id, unknown) = (keys[1].id, "000000000000".parse().unwrap());
    let found = books.look(move |connection| key::overview(connection, id)).await.unwrap();
    assert_eq!((found.key, found.tenant_name.as_str(), found.tenant_suspended_at), (keys[1].clone(), "other", None));
    assert!(books.look(move |connection| key::overview(connection, unknown)).await.is_none());
    let none =
        books.look(move |connection| key::search(connection, &KeyFilter::default(), Cursor::Behind(unknown), 9, now));
    assert!(none.await.rows.is_empty(), "behind an unknown one");
}

/// The grace of a rotation ends a key as its expiry does.
#[tokio::test]
async fn a_rotated_key_is_active_until_its_grace_ends() {
    let books = Books::at(START).await;
    let tenant = books.tenant("acme", 0).await;
    let old = books.key(tenant, named("old")).await;
    let secret = NewSecret {
        id: "0123456789AB".parse().unwrap(),
        hash: HashedSecretKey::from_stored("none".to_owned()),
        last_four: "abcd".to_owned(),
    };
    let id = old.id;
    books
        .change::<_, KeyError>(move |connection| {
            key::rotate(connection, id.as_str(), START.plus_ms(1_000), &secret, START)
        })
        .await
        .unwrap();
    let active = |now| {
        let filter = KeyFilter { state: Some(KeyState::Active), ..KeyFilter::default() };
        books.look(move |connection| key::search(connection, &filter, Cursor::First, 9, now))
    };
    assert_eq!(active(START.plus_ms(999)).await.rows.len(), 2);
    let later = active(START.plus_ms(1_000)).await.rows;
    assert_eq!(later.len(), 1);
    assert_ne!(later[0].key.id, old.id);
}
