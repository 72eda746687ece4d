//! How the keys of repeated calls stand in the books, for how long, and under which secret.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use shared::clock::Timestamp;
use shared::id::{RequestId, TenantId};
use shared::idempotency::{self, Collected, Kept, LIFE_MS, Mark, Standing};
use shared::ledger::{Capture, Ended, Hold, HoldDecision, Outcome};
use shared::money::Amount;
use shared::queue::Endpoint;
use shared::seal::{MasterSecret, Sealer};

use crate::ledger::books::{Books, capture};
use crate::place;

fn mark(key: &str) -> Mark {
    Mark::new(Endpoint::Chat, key.as_bytes(), [("model", "\"m\"")].into_iter())
}

async fn standing(books: &Books, tenant: TenantId, mark: Mark, now: Timestamp) -> Standing {
    books.database.read(move |connection| idempotency::find(connection, tenant, &mark, now)).await.unwrap()
}

async fn sealed(books: &Books, kept: Kept) -> Option<Vec<u8>> {
    books.database.read(move |connection| idempotency::answer(connection, kept.request_id)).await.unwrap()
}

async fn purge(books: &Books, keep_bytes: i64, now: Timestamp) -> bool {
    let since = books.database.read(move |connection| idempotency::full_since(connection, keep_bytes)).await.unwrap();
    books.database.write(move |connection| idempotency::purge(connection, since, now)).await.unwrap()
}

async fn held(books: &Books, tenant: TenantId, mark: Mark) -> Hold {
    let hold = Hold { idempotency: Some(mark), ..books.hold(tenant, 10) };
    assert_eq!(books.ledger.hold(hold.clone()).await.unwrap(), HoldDecision::Held);
    hold
}

#[tokio::test]
async fn a_key_stands_as_its_call_does() {
    let books = Books::new().await;
    let (tenant, other) = (books.tenant("t", 1_000).await, books.tenant("u", 1_000).await);
    let (mark, now) = (mark("k"), books.clock.now());
    assert_eq!(standing(&books, tenant, mark, now).await, Standing::Free);

    let first = held(&books, tenant, mark).await;
    assert_eq!(standing(&books, tenant, mark, now).await, Standing::Running);
    assert_eq!(standing(&books, other, mark, now).await, Standing::Free);
    let another_body = Mark::new(Endpoint::Chat, b"k", std::iter::empty());
    assert_eq!(standing(&books, tenant, another_body, now).await, Standing::AnotherBody);
    let second = Hold { idempotency: Some(mark), ..books.hold(tenant, 10) };
    assert_eq!(books.ledger.hold(second.clone()).await.unwrap(), HoldDecision::Repeated);
    assert_eq!(books.balance(tenant).await, (1_000, 10), "the second call holds nothing");

    // A call that came to nothing leaves the key to the next one, whatever that asks for.
    books.ledger.end(first.request_id, tenant, Ended::Voided).await.unwrap().unwrap();
    assert_eq!(standing(&books, tenant, another_body, now).await, Standing::Free);
    let second = held(&books, tenant, mark).await;
    let charge = Capture { answer: Some(b"sealed".to_vec()), ..capture(second.request_id, tenant, 7) };
    books.ledger.capture(charge).await.unwrap().unwrap();
    let kept = Kept { request_id: second.request_id, charged: Amount::from_nanos(7) };
    assert_eq!(sealed(&books, kept).await.as_deref(), Some(&b"sealed"[..]));
    assert_eq!(standing(&books, tenant, mark, now).await, Standing::Charged(kept));
    assert_eq!(books.ledger.hold(Hold { ..first.clone() }).await.unwrap(), HoldDecision::Replayed);

    // So does one whose charge was given back.
    books.ledger.reverse_capture(second.request_id, tenant).await.unwrap();
    assert_eq!(standing(&books, tenant, mark, now).await, Standing::Free);
    let third = held(&books, tenant, mark).await;
    books.ledger.capture(capture(third.request_id, tenant, 7)).await.unwrap().unwrap();
    let kept = Kept { request_id: third.request_id, charged: Amount::from_nanos(7) };
    assert_eq!(standing(&books, tenant, mark, now).await, Standing::Charged(kept));
    assert_eq!(sealed(&books, kept).await, None, "too large to be kept");
    books.prove().await;
}

#[tokio::test]
async fn a_key_and_its_answer_are_forgotten_after_a_day_but_not_while_the_call_runs() {
    let books = Books::new().await;
    let tenant = books.tenant("t", 1_000).await;
    let (ended, running) = (mark("ended"), mark("running"));
    let first = held(&books, tenant, ended).await;
    held(&books, tenant, running).await;
    let charge = Capture { answer: Some(b"sealed".to_vec()), ..capture(first.request_id, tenant, 7) };
    books.ledger.capture(charge).await.unwrap().unwrap();

    let count = |table: &str| books.numbers(&format!("SELECT count(*) AS number FROM {table}"))[0];
    // The ledger's own clock may be the database's.
    let nearly = books.clock.now().plus_ms(LIFE_MS - 60_000);
    assert!(matches!(standing(&books, tenant, ended, nearly).await, Standing::Charged(_)));
    purge(&books, i64::MAX, nearly).await;
    assert_eq!((count("idempotency_keys"), count("idempotency_answers")), (2, 1));

    let later = books.clock.now().plus_ms(LIFE_MS + 60_000);
    assert_eq!(standing(&books, tenant, ended, later).await, Standing::Free);
    assert_eq!(standing(&books, tenant, running, later).await, Standing::Running);
    assert!(!purge(&books, i64::MAX, later).await, "there is no more");
    assert_eq!((count("idempotency_keys"), count("idempotency_answers")), (1, 0));
    assert_eq!(standing(&books, tenant, running, later).await, Standing::Running);
}

#[tokio::test]
async fn what_shares_a_commit_is_decided_as_if_it_had_not() {
    let books = Books::new().await;
    let tenant = books.tenant("t", 1_000).await;
    let hold = || Hold { idempotency: Some(mark("k")), ..books.hold(tenant, 10) };
    let operations = (0..20).map(|_| shared::ledger::Operation::Hold(hold())).collect();
    let answers = books.together(operations).await;
    let held = answers.iter().filter(|answer| matches!(answer, Ok(Outcome::Hold(HoldDecision::Held)))).count();
    let repeated = answers.iter().filter(|answer| matches!(answer, Ok(Outcome::Hold(HoldDecision::Repeated)))).count();
    assert_eq!((held, repeated), (1, 19));
    assert_eq!(books.balance(tenant).await, (1_000, 10));
    books.prove().await;
}

#[tokio::test]
async fn answers_are_sealed_anew_with_everything_else() {
    let books = Books::new().await;
    let tenant = books.tenant("t", 1_000).await;
    let (old, new) = ("MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA=", "MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE=");
    let only = |secret: &str| Sealer::new(MasterSecret::parse(secret).unwrap());
    let part = bytes::Bytes::from_static(b"{}");
    let mut requests = Vec::new();
    for number in 0..20 {
        let hold = held(&books, tenant, mark(&number.to_string())).await;
        let answer = Collected::default().with(std::slice::from_ref(&part)).seal(None, hold.request_id, &only(old));
        books.ledger.capture(Capture { answer, ..capture(hold.request_id, tenant, 1) }).await.unwrap().unwrap();
        requests.push(number);
    }
    let foreign = held(&books, tenant, mark("foreign")).await;
    let answer = Some(b"sealed by nobody who is known".repeat(3));
    books.ledger.capture(Capture { answer, ..capture(foreign.request_id, tenant, 1) }).await.unwrap().unwrap();

    let both = Arc::new(Sealer::from_list(&format!("{new},{old}")).unwrap());
    let (mut count, mut after) = (0, Some(RequestId::zero()));
    while let Some(from) = after {
        let both = Arc::clone(&both);
        let step = books.database.write(move |connection| idempotency::reseal(connection, &both, from)).await.unwrap();
        (count, after) = (count + step.0, step.1);
    }
    assert_eq!(count, 20);
    for number in requests {
        let standing = standing(&books, tenant, mark(&number.to_string()), books.clock.now()).await;
        let Standing::Charged(kept) = standing else { panic!("{standing:?}") };
        let sealed = sealed(&books, kept).await.unwrap();
        let opened = idempotency::Answer::open(&sealed, kept.request_id, &only(new)).unwrap();
        assert_eq!(opened.parts, std::slice::from_ref(&part));
        assert!(idempotency::Answer::open(&sealed, kept.request_id, &only(old)).is_err());
    }
    assert_eq!(
        books.numbers("SELECT count(*) AS number FROM idempotency_answers"),
        [20],
        "what nobody can read is gone"
    );
}

#[tokio::test]
async fn what_is_kept_in_all_has_a_bound() {
    let books = Books::new().await;
    let tenant = books.tenant("t", 1_000).await;
    for number in 0..40 {
        let hold = held(&books, tenant, mark(&number.to_string())).await;
        let answer = Some(vec![0; 100]);
        books.ledger.capture(Capture { answer, ..capture(hold.request_id, tenant, 1) }).await.unwrap().unwrap();
    }
    let kept = || books.numbers("SELECT count(*) AS number FROM idempotency_answers")[0];
    let now = books.clock.now();
    assert!(!purge(&books, 4_000, now).await, "they fit");
    assert_eq!(kept(), 40);
    while purge(&books, 1_000, now).await {}
    // Those of one millisecond go together.
    assert!(kept() <= 10, "{} of 100 bytes were kept", kept());
    // The keys stay: a repetition is refused, and not a second charge.
    assert_eq!(books.numbers("SELECT count(*) AS number FROM idempotency_keys"), [40]);
    let second = Hold { idempotency: Some(mark("0")), ..books.hold(tenant, 10) };
    assert_eq!(books.ledger.hold(second).await.unwrap(), HoldDecision::Repeated);
}

/// Others wait to write meanwhile, so what it costs must not depend on how much is kept.
#[tokio::test]
async fn a_step_of_the_removal_looks_only_at_what_it_removes() {
    let books = Books::new().await;
    let mut connection = books.bare_connection();
    let now = books.clock.now();
    let asked = place::asked(&mut connection, |connection| {
        idempotency::purge(connection, Some(now), now).unwrap();
    });
    assert_eq!(asked.len(), 2, "{asked:#?}");
    for sql in asked {
        assert!(sql.starts_with("DELETE") && sql.contains("LIMIT") && !sql.contains("SUM("), "{sql}");
        if books.is_sqlite() {
            for step in place::plan(&mut connection, &sql) {
                assert!(!step.starts_with("SCAN"), "{step}, in {sql}");
            }
        }
    }
}

/// Whoever reads records, slowly and often, delays nobody else: calls that are repeated and keys have connections of their own, and who waits
/// for a connection waits on no thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_records_keep_no_call_waiting() {
    let books = Books::new().await;
    let (tenant, now) = (books.tenant("t", 1_000).await, books.clock.now());
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let ended = Arc::new(Mutex::new(ended));
    // More than there are threads for blocking work.
    let reading: Vec<_> = (0..1_000)
        .map(|_| {
            let (database, ended) = (books.database.clone(), Arc::clone(&ended));
            tokio::spawn(async move {
                database
                    .read_records(move |_| {
                        let _ = ended.lock().unwrap().recv();
                        Ok(())
                    })
                    .await
            })
        })
        .collect();
    let asked = Instant::now();
    for number in 0..100 {
        let mark = mark(&number.to_string());
        let found =
            books.database.read_calls(move |connection| idempotency::find(connection, tenant, &mark, now)).await;
        assert_eq!(found.unwrap(), Standing::Free);
        assert_eq!(standing(&books, tenant, mark, now).await, Standing::Free);
    }
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
    assert!(reading.iter().all(|read| !read.is_finished()), "the records were not slow");
    drop(end);
    for read in reading {
        read.await.unwrap().unwrap();
    }
}
