//! Sessions of the developers' console: what their key allows, and how they end.

use std::net::IpAddr;

use rstest::rstest;
use shared::clock::Timestamp;
use shared::console_session::{self, IDLE_MS, LONGEST_MS, Session, Shut};
use shared::db::{Connection, DbError};
use shared::key::{self, Barred, Console, KeyPolicy, NewSecret};
use shared::secret_key::{self, KeyId, PlainSecretKey, TagKey};
use shared::tenant;
use shared::token::{Token, TokenHash};

use crate::ledger::books::Books;

/// A tenant with a key and a session, begun at `now` from [`HOME`].
struct Desk {
    books: Books,
    key: KeyId,
    hash: TokenHash,
    now: Timestamp,
}

const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9));

impl Desk {
    async fn new(policy: impl FnOnce(Timestamp) -> KeyPolicy + Send + 'static) -> Self {
        let books = Books::new().await;
        let (now, hash) = (books.clock.now(), Token::generate().unwrap().hash());
        let key = write(&books, move |connection| {
            let tenant = tenant::create(connection, "acme", now).unwrap().id;
            let key = key::issue(connection, tenant, policy(now), &secret(), now).unwrap().id;
            console_session::begin(connection, key, &hash, Some(HOME), now)?;
            Ok(key)
        })
        .await;
        Self { books, key, hash, now }
    }

    async fn find_from(&self, address: Option<IpAddr>, after_ms: i64) -> Result<Session, Shut> {
        let (hash, now) = (self.hash, self.now.plus_ms(after_ms));
        let find = move |connection: &mut Connection| console_session::find(connection, &hash, address, now);
        self.books.database.read(find).await.unwrap()
    }

    async fn find(&self, after_ms: i64) -> Result<Session, Shut> {
        self.find_from(Some(HOME), after_ms).await
    }

    async fn shut(&self, after_ms: i64) -> Option<Shut> {
        self.find(after_ms).await.err()
    }
}

async fn write<T: Send + 'static>(
    books: &Books,
    work: impl FnOnce(&mut Connection) -> Result<T, DbError> + Send + 'static,
) -> T {
    books.database.write(work).await.unwrap()
}

fn secret() -> NewSecret {
    let (id, plain) = PlainSecretKey::generate(&TagKey::generate().unwrap()).unwrap();
    NewSecret { id, hash: secret_key::hash(&plain).unwrap(), last_four: "abcd".to_owned() }
}

#[tokio::test]
async fn it_belongs_to_its_key() {
    let desk = Desk::new(|_| KeyPolicy { console: Console::Tenant, ..KeyPolicy::default() }).await;
    let session = desk.find(0).await.unwrap();
    assert_eq!((session.key.id, session.tenant_name.as_str()), (desk.key, "acme"));
    assert_eq!((session.created_at, session.seen_at), (desk.now, desk.now));
    assert!(session.sees_all());
    assert_eq!(session.caller().key, desk.key);
    let other = Desk { hash: Token::generate().unwrap().hash(), ..desk };
    assert_eq!(other.shut(0).await, Some(Shut::Over));
}

#[tokio::test]
async fn it_is_over_when_it_is_left_alone_or_too_old() {
    let desk = Desk::new(|_| KeyPolicy::default()).await;
    assert_eq!(desk.shut(IDLE_MS - 1).await, None);
    assert_eq!(desk.shut(IDLE_MS).await, Some(Shut::Over));
    assert!(!desk.find(59_999).await.unwrap().is_to_be_touched(desk.now.plus_ms(59_999)));
    let (mut passed, hash, now) = (0, desk.hash, desk.now);
    while passed + IDLE_MS < LONGEST_MS {
        passed += IDLE_MS - 1;
        assert!(desk.find(passed).await.unwrap().is_to_be_touched(now.plus_ms(passed)));
        write(&desk.books, move |connection| console_session::touch(connection, &hash, now.plus_ms(passed))).await;
        // An older use that is written later takes nothing back.
        write(&desk.books, move |connection| console_session::touch(connection, &hash, now)).await;
    }
    assert_eq!(desk.shut(LONGEST_MS - 1).await, None);
    assert_eq!(desk.shut(LONGEST_MS).await, Some(Shut::Over));
    write(&desk.books, move |connection| console_session::end(connection, &hash)).await;
    assert_eq!(desk.shut(0).await, Some(Shut::Over));
}

#[tokio::test]
async fn it_opens_nothing_when_its_key_would_not() {
    let desk = Desk::new(|now| KeyPolicy { expires_at: Some(now.plus_ms(1_000)), ..KeyPolicy::default() }).await;
    assert_eq!(desk.shut(999).await, None);
    assert_eq!(desk.shut(1_000).await, Some(Shut::Barred(Barred::Expired)));
    let now = desk.now;
    write(&desk.books, move |connection| Ok(tenant::set_suspended(connection, "acme", Some(now)).unwrap())).await;
    assert_eq!(desk.shut(0).await, Some(Shut::Barred(Barred::TenantSuspended)));
    assert_eq!(desk.shut(1_000).await, Some(Shut::Barred(Barred::Expired)), "what is for good goes first");
    let key = desk.key;
    write(&desk.books, move |connection| Ok(key::revoke(connection, key.as_str(), now).unwrap())).await;
    assert_eq!(desk.shut(0).await, Some(Shut::Barred(Barred::Revoked)));
}

#[tokio::test]
async fn it_ends_with_the_grace_of_its_key() {
    let desk = Desk::new(|_| KeyPolicy::default()).await;
    let (key, now) = (desk.key, desk.now);
    write(&desk.books, move |connection| {
        Ok(key::rotate(connection, key.as_str(), now.plus_ms(1_000), &secret(), now).unwrap())
    })
    .await;
    assert_eq!(desk.find(999).await.unwrap().key.grace_until, Some(now.plus_ms(1_000)));
    assert_eq!(desk.shut(1_000).await, Some(Shut::Barred(Barred::Expired)));
}

#[rstest]
#[case(Some("203.0.113.77"), None)]
#[case(Some("198.51.100.1"), Some(Shut::NotFromHere))]
#[case(None, Some(Shut::NotFromHere))]
#[tokio::test]
async fn it_obeys_the_networks_of_its_key(#[case] address: Option<&str>, #[case] expected: Option<Shut>) {
    let networks = Some(vec!["203.0.113.0/24".parse().unwrap()]);
    let desk = Desk::new(|_| KeyPolicy { networks, ..KeyPolicy::default() }).await;
    let address = address.map(|address| address.parse().unwrap());
    assert_eq!(desk.find_from(address, 0).await.err(), expected);
}

#[tokio::test]
async fn a_key_has_so_many_and_what_is_over_is_forgotten() {
    let desk = Desk::new(|_| KeyPolicy::default()).await;
    let (key, now) = (desk.key, desk.now);
    let begin = async |after_ms: i64| {
        let hash = Token::generate().unwrap().hash();
        let now = now.plus_ms(after_ms);
        write(&desk.books, move |connection| console_session::begin(connection, key, &hash, None, now)).await;
    };
    for after_ms in 1..20 {
        begin(after_ms).await;
    }
    assert_eq!(desk.shut(19).await, None);
    begin(20).await;
    assert_eq!(desk.shut(20).await, Some(Shut::Over), "the first one ended for the last");
    let kept = desk.books.numbers("SELECT count(*) AS number FROM console_sessions");
    assert_eq!(kept, [20]);
    begin(IDLE_MS + 20).await;
    assert_eq!(desk.books.numbers("SELECT count(*) AS number FROM console_sessions"), [1]);
}
