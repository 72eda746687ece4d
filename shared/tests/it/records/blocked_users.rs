//! Who is blocked. That their calls are refused is shown by the API's own tests.

use std::sync::Arc;

use shared::blocked_users::{self, BlockError, BlockedUser, MOST_BLOCKED};
use shared::console_session;
use shared::db::DbError;
use shared::id::TenantId;
use shared::key::KeyPolicy;
use shared::secret_key::TagKey;
use shared::token::Token;

use super::START;
use crate::ledger::books::Books;

async fn block(books: &Books, tenant: TenantId, end_user: &str, by: &str) -> Result<BlockedUser, BlockError> {
    let (end_user, by, now) = (end_user.to_owned(), by.to_owned(), books.clock.now());
    books.change(move |connection| blocked_users::block(connection, tenant, &end_user, &by, now)).await
}

async fn unblock(books: &Books, tenant: TenantId, end_user: &str) -> Option<BlockedUser> {
    let end_user = end_user.to_owned();
    books.change::<_, DbError>(move |connection| blocked_users::unblock(connection, tenant, &end_user)).await.unwrap()
}

async fn names(books: &Books, tenant: TenantId) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    loop {
        let after = names.last().cloned();
        let page = books.look(move |connection| blocked_users::list(connection, tenant, after.as_deref(), 2)).await;
        names.extend(page.rows.into_iter().map(|blocked| blocked.end_user));
        if !page.has_more {
            return names;
        }
    }
}

#[tokio::test]
async fn blocking_and_unblocking() {
    let books = Books::at(START).await;
    let (tenant, other) = (books.tenant("t", 0).await, books.tenant("other", 0).await);
    let epoch = || books.numbers("SELECT value AS number FROM epoch")[0];
    let before = epoch();
    let ann = block(&books, tenant, "ann", "staff@example.com").await.unwrap();
    assert_eq!((ann.blocked_at, ann.blocked_by.as_str()), (START, "staff@example.com"));
    assert_eq!(epoch(), before + 1, "every process gets to know of it");
    books.advance(1_000);
    assert_eq!(block(&books, tenant, "ann", "another@example.com").await.unwrap(), ann, "since the first time");
    assert_eq!(epoch(), before + 1);
    for name in ["张三", "a b", "Ann", "line\nend", "nul\0", "😀"] {
        block(&books, tenant, name, "staff").await.unwrap();
    }
    block(&books, other, "bob", "staff").await.unwrap();
    // In the order of their bytes on both engines.
    assert_eq!(names(&books, tenant).await, ["Ann", "a b", "ann", "line\nend", "nul\u{fffd}", "张三", "😀"]);
    let found = books.look(move |connection| blocked_users::find(connection, tenant, "nul\0")).await;
    assert_eq!(found.unwrap().end_user, "nul\u{fffd}");

    assert_eq!(unblock(&books, tenant, "ann").await, Some(ann));
    assert_eq!(unblock(&books, tenant, "ann").await, None);
    assert_eq!(unblock(&books, tenant, "bob").await, None);
    assert_eq!(names(&books, tenant).await.len(), 6);
    assert_eq!(names(&books, other).await, ["bob"]);
}

#[tokio::test]
async fn what_cannot_be_blocked() {
    let books = Books::new().await;
    let tenant = books.tenant("t", 0).await;
    for no_name in ["", &"n".repeat(513)] {
        assert!(matches!(block(&books, tenant, no_name, "staff").await, Err(BlockError::BadEndUser)));
    }
    assert!(matches!(block(&books, tenant, "ann", "").await, Err(BlockError::BadAuthor)));
    assert!(matches!(block(&books, TenantId(9_999), "ann", "staff").await, Err(BlockError::Database(_))));
    assert!(block(&books, tenant, &"小".repeat(512), "staff").await.is_ok());

    use diesel::connection::SimpleConnection;
    let numbers = if books.is_sqlite() {
        "WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < :count) SELECT :tenant, 'user ' || n, 0, 'x' FROM s"
    } else {
        "SELECT :tenant, 'user ' || n, 0, 'x' FROM generate_series(1, :count) AS n"
    };
    let numbers = numbers.replace(":count", &(MOST_BLOCKED - 1).to_string()).replace(":tenant", &tenant.to_string());
    books.bare_connection().batch_execute(&format!("INSERT INTO blocked_users {numbers}")).unwrap();
    let full = block(&books, tenant, "one more", "staff").await;
    assert!(matches!(full, Err(BlockError::TooMany)), "{full:?}");
    assert!(block(&books, tenant, "user 7", "staff").await.is_ok(), "is blocked already");
    unblock(&books, tenant, "user 7").await.unwrap();
    assert!(block(&books, tenant, "one more", "staff").await.is_ok());
}

/// A tenant may have many keys, and many blocked end users: the names are in memory once.
#[tokio::test]
async fn all_keys_of_a_tenant_share_one_set() {
    let books = Books::new().await;
    let (tenant, other) = (books.tenant("t", 0).await, books.tenant("other", 0).await);
    let tag_key = TagKey::generate().unwrap();
    let mut keys = Vec::new();
    for tenant in [tenant, tenant, other] {
        keys.push(books.issue(tenant, &tag_key, KeyPolicy::default()).await.1);
    }
    block(&books, tenant, "ann", "staff").await.unwrap();
    let epoch = books.epoch().await;
    let keyring = books.keyring(&tag_key, &epoch);
    let set = async |number: usize| keyring.authenticate(keys[number].expose()).await.unwrap().blocked_users;
    let (first, second) = (set(0).await.unwrap(), set(1).await.unwrap());
    assert!(Arc::ptr_eq(&first, &second));
    assert!(first.contains("ann") && first.len() == 1);
    assert!(set(2).await.is_none(), "a tenant that blocks nobody has none");

    block(&books, tenant, "bob", "staff").await.unwrap();
    assert!(Arc::ptr_eq(&first, &set(0).await.unwrap()), "as long as the epoch seems to stand still");
    epoch.poll(&books.database).await.unwrap();
    let (later, of_second) = (set(0).await.unwrap(), set(1).await.unwrap());
    assert!(Arc::ptr_eq(&later, &of_second) && later.contains("bob"));
    for name in ["ann", "bob"] {
        unblock(&books, tenant, name).await.unwrap();
    }
    epoch.poll(&books.database).await.unwrap();
    assert!(set(0).await.is_none());
}

/// A call from the console is a call.
#[tokio::test]
async fn a_session_of_the_console_knows_them_too() {
    let books = Books::new().await;
    let tenant = books.tenant("t", 0).await;
    let key = books.key(tenant, KeyPolicy::default()).await;
    let (hash, now) = (Token::generate().unwrap().hash(), books.clock.now());
    books
        .change::<_, DbError>(move |connection| console_session::begin(connection, key.id, &hash, None, now))
        .await
        .unwrap();
    let blocks = async |name: &str| {
        let found = books.look(move |connection| console_session::find(connection, &hash, None, now)).await;
        found.unwrap().caller().blocks(Some(name))
    };
    assert!(!blocks("ann").await);
    block(&books, tenant, "ann", "staff").await.unwrap();
    assert!(blocks("ann").await && !blocks("bob").await);
}
