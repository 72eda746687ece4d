//! Whether holds are open, as whoever takes a call asks before work begins.

use std::future::poll_fn;
use std::task::Poll;

use diesel::connection::SimpleConnection;
use shared::db::DbError;
use shared::id::RequestId;
use shared::ledger::{Ended, OpenHolds, Operation, Outcome};

use super::books::{Books, in_order};
use super::scene::Scene;

/// More than one read asks for.
const MANY: usize = 600;

#[tokio::test]
async fn a_hold_is_open_until_it_is_settled() {
    let scene = Scene::set().await;
    let open = OpenHolds::new(scene.books.database.clone());
    for (name, expected) in [
        ("open", true),
        ("captured", false),
        ("voided", false),
        ("reversed", false),
        ("written_off", false),
        ("new", false),
    ] {
        assert_eq!(open.contains(scene.id(name)).await.unwrap(), expected, "{name}");
    }
}

#[tokio::test]
async fn many_who_ask_at_once_are_each_told_of_their_own() {
    let books = Books::new().await;
    let tenant = books.tenant("t", MANY as i64).await;
    let holds: Vec<_> = (0..MANY).map(|_| books.hold(tenant, 1)).collect();
    let requests: Vec<RequestId> = holds.iter().map(|hold| hold.request_id).collect();
    let held = books.together(holds.into_iter().map(Operation::Hold).collect()).await;
    assert!(held.iter().all(|answer| matches!(answer, Ok(Outcome::Hold(_)))), "{held:?}");
    let end =
        |request_id: &RequestId| Operation::End { request_id: *request_id, account: tenant, ended: Ended::Voided };
    let ended = books.together(requests.iter().step_by(3).map(end).collect()).await;
    assert!(ended.iter().all(|answer| matches!(answer, Ok(Outcome::Ended))), "{ended:?}");

    let open = OpenHolds::new(books.database.clone());
    // Between them unknown ones; and each is asked for twice, by way of two clones.
    let (one, another) = (open.clone(), open);
    let unknown = RequestId::new();
    let (mut asked, mut expected) = (Vec::new(), Vec::new());
    for (number, request) in requests.iter().enumerate() {
        asked.extend([one.contains(*request), another.contains(unknown), another.contains(*request)]);
        expected.extend([number % 3 != 0, false, number % 3 != 0]);
    }
    // Who does not wait for the answer keeps nobody from theirs.
    let mut left = Box::pin(one.contains(requests[0]));
    assert!(poll_fn(|context| Poll::Ready(left.as_mut().poll(context).is_pending())).await);
    drop(left);
    let answers: Result<Vec<bool>, DbError> = in_order(asked, || ()).await.into_iter().collect();
    assert_eq!(answers.unwrap(), expected);
}

#[tokio::test]
async fn a_read_that_fails_is_everybodys_answer_and_the_next_is_another() {
    let books = Books::new().await;
    let tenant = books.tenant("t", 10).await;
    let request = books.held(tenant, 1).await;
    let open = OpenHolds::new(books.database.clone());
    let mut operator = books.bare_connection();
    operator.batch_execute("ALTER TABLE settlements RENAME TO mislaid").unwrap();
    let answers = in_order((0..3).map(|_| open.contains(request)).collect(), || ()).await;
    assert!(answers.iter().all(Result::is_err), "{answers:?}");
    operator.batch_execute("ALTER TABLE mislaid RENAME TO settlements").unwrap();
    assert!(open.contains(request).await.unwrap());
}
