//! Redeem codes, from a batch to a balance.

use std::sync::Arc;

use diesel::connection::SimpleConnection;
use rstest::rstest;
use secrecy::ExposeSecret;
use shared::clock::Timestamp;
use shared::id::TenantId;
use shared::key::KeyPolicy;
use shared::ledger;
use shared::money::Amount;
use shared::page::Cursor;
use shared::secret_key::KeyId;
use shared::top_ups::{self, TopUpFilter};
use shared::vouchers::{self, Batch, BatchId, Code, NewBatch, Redeemed, VoucherError};

use super::START;
use crate::ledger::books::Books;

const YEAR_MS: i64 = 31_536_000_000;

fn wanted(name: &str, now: Timestamp) -> NewBatch {
    NewBatch {
        name: name.to_owned(),
        value: Amount::from_nanos(500),
        expires_at: now.plus_ms(YEAR_MS),
        created_by: "ann@example.com".to_owned(),
    }
}

/// A batch of so many codes, as whoever gets them sees them.
async fn batch(books: &Books, name: &str, count: usize) -> (Batch, Vec<String>) {
    let now = books.clock.now();
    let (new, codes) = (wanted(name, now), vouchers::generate(count).unwrap());
    let shown = codes.iter().map(|code| code.expose().expose_secret().to_owned()).collect();
    let batch = books.change(move |connection| vouchers::create(connection, &new, &codes, now)).await.unwrap();
    (batch, shown)
}

async fn customer(books: &Books, name: &str) -> (TenantId, KeyId) {
    let tenant = books.tenant(name, 0).await;
    (tenant, books.key(tenant, KeyPolicy::default()).await.id)
}

async fn redeem(books: &Books, code: &str, (tenant, key): (TenantId, KeyId)) -> Redeemed {
    let (code, now) = (Code::parse(code).unwrap(), books.clock.now());
    books.change(move |connection| vouchers::redeem(connection, &code, tenant, key, now)).await.unwrap()
}

/// What it would be worth now.
async fn worth(books: &Books, code: &str) -> Result<Amount, Redeemed> {
    let (code, now) = (Code::parse(code).unwrap(), books.clock.now());
    books.look(move |connection| vouchers::worth(connection, &code, now)).await
}

#[tokio::test]
async fn a_code_is_redeemed_once() {
    let books = Books::at(START).await;
    let (batch, codes) = batch(&books, "spring", 3).await;
    let (ann, bob) = (customer(&books, "ann").await, customer(&books, "bob").await);
    assert_eq!(worth(&books, &codes[1]).await, Ok(Amount::from_nanos(500)));
    let redeemed = redeem(&books, &codes[1].to_lowercase().replace('-', " "), ann).await;
    let Redeemed::Redeemed { amount, posted, transfer } = redeemed else { panic!("{redeemed:?}") };
    assert_eq!((amount.nanos(), posted.nanos()), (500, 500));
    let colleague = (ann.0, books.key(ann.0, KeyPolicy::default()).await.id);
    let stranger = (bob.0, ann.1);
    for (customer, before) in [(ann, Some(transfer)), (bob, None), (colleague, None), (stranger, None)] {
        assert_eq!(redeem(&books, &codes[1], customer).await, Redeemed::AlreadyRedeemed);
        let (code, (tenant, key)) = (Code::parse(&codes[1]).unwrap(), customer);
        let found = books.look(move |connection| vouchers::redeemed_by(connection, &code, tenant, key)).await;
        assert_eq!(found, before);
    }
    let (code, (tenant, key)) = (Code::parse(&codes[2]).unwrap(), ann);
    assert_eq!(books.look(move |connection| vouchers::redeemed_by(connection, &code, tenant, key)).await, None);
    assert_eq!(worth(&books, &codes[1]).await, Err(Redeemed::AlreadyRedeemed));
    let made_up = vouchers::generate(1).unwrap().remove(0);
    assert_eq!(redeem(&books, made_up.expose().expose_secret(), ann).await, Redeemed::Unknown);
    assert_eq!(worth(&books, made_up.expose().expose_secret()).await, Err(Redeemed::Unknown));

    let id = batch.id;
    let listed = books.look(move |connection| vouchers::codes(connection, id, Cursor::First, 2)).await;
    assert!(listed.has_more);
    assert_eq!(listed.rows.iter().map(|code| code.number).collect::<Vec<_>>(), [1, 2]);
    assert!(codes[0].ends_with(&listed.rows[0].last_four) && listed.rows[0].redemption.is_none());
    let redemption = listed.rows[1].redemption.as_ref().unwrap();
    assert_eq!((redemption.tenant, redemption.tenant_name.as_str(), redemption.key), (ann.0, "ann", ann.1));
    assert_eq!((redemption.transfer, redemption.redeemed_at), (transfer, START));
    let rest = books.look(move |connection| vouchers::codes(connection, id, Cursor::Behind(2), 2)).await;
    assert_eq!((rest.rows.len(), rest.rows[0].number, rest.has_more, rest.has_before), (1, 3, false, true));
    let back = books.look(move |connection| vouchers::codes(connection, id, Cursor::Before(3), 2)).await;
    assert_eq!(back, listed);

    let top_up = books.look(move |connection| top_ups::find(connection, transfer)).await.unwrap();
    assert_eq!((top_up.reference.as_str(), top_up.source), ("code:1/2", ledger::TopUpSource::Promotion));
    let found = books.look(move |connection| vouchers::batch(connection, id)).await.unwrap();
    assert_eq!(found, Batch { redeemed: 1, ..batch });
    books.prove().await;
}

#[tokio::test]
async fn what_ends_a_code() {
    let books = Books::at(START).await;
    let (first, codes) = batch(&books, "first", 3).await;
    let ann = customer(&books, "ann").await;
    assert!(matches!(redeem(&books, &codes[0], ann).await, Redeemed::Redeemed { .. }));
    books.advance(YEAR_MS - 1);
    assert!(matches!(redeem(&books, &codes[1], ann).await, Redeemed::Redeemed { .. }));
    books.advance(1);
    assert_eq!(redeem(&books, &codes[2], ann).await, Redeemed::Expired { at: START.plus_ms(YEAR_MS) });
    assert_eq!(worth(&books, &codes[2]).await, Err(Redeemed::Expired { at: START.plus_ms(YEAR_MS) }));
    assert_eq!(redeem(&books, &codes[0], ann).await, Redeemed::AlreadyRedeemed);

    let (second, codes) = batch(&books, "second", 2).await;
    let revoke = async |by: &'static str| {
        let (id, now) = (second.id, books.clock.now());
        books.change(move |connection| vouchers::revoke(connection, id, by, now)).await
    };
    assert!(matches!(redeem(&books, &codes[0], ann).await, Redeemed::Redeemed { .. }));
    let revoked = revoke("ann@example.com").await.unwrap();
    books.advance(1_000);
    assert_eq!(revoke("bob@example.com").await.unwrap(), revoked, "it stays revoked since the first time");
    assert_eq!(revoked.revoked, Some((START.plus_ms(YEAR_MS), "ann@example.com".to_owned())));
    assert_eq!(redeem(&books, &codes[1], ann).await, Redeemed::BatchRevoked);
    assert_eq!(worth(&books, &codes[1]).await, Err(Redeemed::BatchRevoked));
    assert_eq!(redeem(&books, &codes[0], ann).await, Redeemed::AlreadyRedeemed);
    let unknown = BatchId(99);
    let now = books.clock.now();
    let error = books.change(move |connection| vouchers::revoke(connection, unknown, "ann", now)).await.unwrap_err();
    assert!(matches!(error, VoucherError::Unknown(BatchId(99))), "{error:?}");

    let all = books.look(|connection| vouchers::batches(connection, Cursor::First, 1)).await;
    assert_eq!((&all.rows[..], all.has_more), (&[Batch { redeemed: 1, ..revoked }][..], true));
    let id = second.id;
    let older = books.look(move |connection| vouchers::batches(connection, Cursor::Behind(id), 1)).await;
    assert_eq!((&older.rows[..], older.has_more), (&[Batch { redeemed: 2, ..first }][..], false));
    let id = first.id;
    let newer = books.look(move |connection| vouchers::batches(connection, Cursor::Before(id), 1)).await;
    assert_eq!(newer, all);
    books.prove().await;
}

#[rstest]
#[case::no_name(|new: &mut NewBatch| new.name.clear(), 1, "a batch's name")]
#[case::space(|new: &mut NewBatch| new.name = " a".to_owned(), 1, "a batch's name")]
#[case::long_name(|new: &mut NewBatch| new.name = "n".repeat(101), 1, "a batch's name")]
#[case::worth_nothing(|new: &mut NewBatch| new.value = Amount::ZERO, 1, "worth more than zero")]
#[case::worth_less(|new: &mut NewBatch| new.value = Amount::from_nanos(-1), 1, "worth more than zero")]
#[case::expired(|new: &mut NewBatch| new.expires_at = START, 1, "has passed")]
#[case::nobody(|new: &mut NewBatch| new.created_by.clear(), 1, "who makes")]
#[case::no_codes(|_: &mut NewBatch| (), 0, "1 to 10000 codes, not 0")]
#[case::too_many(|_: &mut NewBatch| (), 10_001, "1 to 10000 codes, not 10001")]
#[case::name_taken(|new: &mut NewBatch| new.name = "there".to_owned(), 1, "exists already")]
#[tokio::test]
async fn what_is_no_batch(#[case] change: fn(&mut NewBatch), #[case] count: usize, #[case] why: &str) {
    let books = Books::at(START).await;
    batch(&books, "there", 1).await;
    let mut new = wanted("new", START);
    change(&mut new);
    let codes = vouchers::generate(count).unwrap();
    let error = books.change(move |connection| vouchers::create(connection, &new, &codes, START)).await.unwrap_err();
    assert!(error.to_string().contains(why), "{error}");
    assert_eq!(books.numbers("SELECT count(*) AS number FROM codes"), [1]);
}

/// The largest batch; all codes work, and none is in the database.
#[tokio::test]
async fn ten_thousand_codes() {
    let books = Books::at(START).await;
    let (_, codes) = batch(&books, "large", vouchers::MOST_CODES).await;
    let ann = customer(&books, "ann").await;
    for number in [0, 4_999, 9_999] {
        assert!(matches!(redeem(&books, &codes[number], ann).await, Redeemed::Redeemed { .. }));
    }
    assert_eq!(books.balance(ann.0).await, (1_500, 0));
    let kept = books.words("SELECT last_four AS word FROM codes WHERE number = 1");
    assert_eq!(kept, [codes[0][codes[0].len() - 4..].to_owned()]);
    if books.is_sqlite() {
        let mut kept = std::fs::read(books.path()).unwrap();
        kept.extend(std::fs::read(format!("{}-wal", books.path().display())).unwrap());
        let is_in = |part: &str| kept.windows(part.len()).any(|window| window == part.as_bytes());
        assert!(is_in(&codes[0][codes[0].len() - 4..]), "what is kept of it would be found");
        for code in [&codes[0], &codes[9_999]] {
            assert!(!is_in(code) && !is_in(&code.replace('-', "")) && !is_in(&code[..14]));
        }
    }
    books.prove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_redeem_one_code_at_once() {
    let books = Arc::new(Books::new().await);
    let (_, codes) = batch(&books, "spring", 1).await;
    let mut customers = Vec::new();
    for number in 0..4 {
        customers.push(customer(&books, &format!("tenant {number}")).await);
    }
    // As many processes as a deployment may have.
    let processes = [Arc::clone(&books), Arc::new(books.another_process(books.database.url()))];
    let redeeming = (0..20).map(|number| {
        let (books, code, customer) = (Arc::clone(&processes[number % 2]), codes[0].clone(), customers[number % 4]);
        tokio::spawn(async move { (customer.0, redeem(&books, &code, customer).await) })
    });
    let redeeming: Vec<_> = redeeming.collect();
    let mut lucky = Vec::new();
    for redeemed in redeeming {
        match redeemed.await.unwrap() {
            (tenant, Redeemed::Redeemed { .. }) => lucky.push(tenant),
            (_, Redeemed::AlreadyRedeemed) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(lucky.len(), 1, "{lucky:?}");
    for (tenant, _) in customers {
        assert_eq!(books.balance(tenant).await, (if tenant == lucky[0] { 500 } else { 0 }, 0));
    }
    let all = books.look(|connection| top_ups::page(connection, &TopUpFilter::default(), Cursor::First, 9)).await;
    assert_eq!(all.rows.len(), 1);
    books.prove().await;
}

/// The database's own rules, whatever a program does.
#[rstest]
#[case::redeemed_again("INSERT INTO redemptions SELECT batch, number, tenant, key_id, :other, 0 FROM redemptions")]
#[case::without_a_top_up("INSERT INTO redemptions SELECT batch, 2, tenant, key_id, :nobody, 0 FROM redemptions")]
#[case::one_top_up_for_two("INSERT INTO redemptions SELECT batch, 2, tenant, key_id, transfer, 0 FROM redemptions")]
#[case::from_cash(":top_up 1, 1001, 500, NULL, NULL, 'code:1/2', NULL, 0); :redeem 1, 2, 1001, :key, :new, 0)")]
#[case::of_another_value(":top_up 4, 1001, 501, NULL, NULL, 'code:1/2', NULL, 0); :redeem 1, 2, 1001, :key, :new, 0)")]
#[case::of_another_code(":top_up 4, 1001, 500, NULL, NULL, 'code:2/1', NULL, 0); :redeem 1, 2, 1001, :key, :new, 0)")]
#[case::of_another_tenant(":top_up 4, 1001, 500, NULL, NULL, 'code:1/2', NULL, 0); :redeem 1, 2, 1002, :key, :new, 0)")]
#[case::no_code(":top_up 4, 1001, 500, NULL, NULL, 'code:1/3', NULL, 0); :redeem 1, 3, 1001, :key, :new, 0)")]
#[case::no_batch(":top_up 4, 1001, 500, NULL, NULL, 'code:9/1', NULL, 0); :redeem 9, 1, 1001, :key, :new, 0)")]
#[case::redemption_changed("UPDATE redemptions SET number = 2")]
#[case::redemption_removed("DELETE FROM redemptions")]
#[case::code_changed("UPDATE codes SET number = 9 WHERE number = 2")]
#[case::code_removed("DELETE FROM codes WHERE number = 2")]
#[case::value_raised("UPDATE code_batches SET value = 9999")]
#[case::expiry_moved("UPDATE code_batches SET expires_at = expires_at + 1")]
#[case::batch_removed("DELETE FROM code_batches WHERE id = 2")]
#[case::revoked_by_nobody("UPDATE code_batches SET revoked_at = 1 WHERE id = 1")]
#[case::made_valid_again("UPDATE code_batches SET revoked_at = NULL, revoked_by = NULL WHERE id = 2")]
#[case::worth_less_than_nothing("INSERT INTO code_batches VALUES (3, 'x', 0, 1, 0, 'x', 0, NULL, NULL)")]
#[tokio::test]
async fn attacks(#[case] attack: &str) {
    let books = Books::new().await;
    let (first, codes) = batch(&books, "first", 2).await;
    let (second, _) = batch(&books, "second", 1).await;
    let (id, now) = (second.id, books.clock.now());
    books.change(move |connection| vouchers::revoke(connection, id, "ann", now)).await.unwrap();
    let ann = customer(&books, "ann").await;
    redeem(&books, &codes[0], ann).await;
    let other = books.tenant("other", 5).await;
    let other = books.look(move |connection| {
        top_ups::page(connection, &TopUpFilter { tenant: Some(other), ..TopUpFilter::default() }, Cursor::First, 1)
    });
    let other = other.await.rows.remove(0).id;
    let attack = attack
        .replace(":top_up", "INSERT INTO transfers VALUES (:new, 'top_up',")
        .replace(":redeem", "INSERT INTO redemptions VALUES (")
        .replace(":key", "'0123456789AB'")
        .replace(":other", &books.blob(&other.simple().to_string()))
        .replace(":new", &books.blob(&"1".repeat(32)))
        .replace(":nobody", &books.blob(&"0".repeat(32)));
    let answer = books.bare_connection().batch_execute(&format!("BEGIN; {attack}; COMMIT"));
    assert!(answer.is_err(), "{attack}");
    let id = first.id;
    let kept = books.look(move |connection| vouchers::batch(connection, id)).await.unwrap();
    assert_eq!(kept, Batch { redeemed: 1, ..first });
}
