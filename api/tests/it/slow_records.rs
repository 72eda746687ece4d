//! Records that take long to read.

use std::sync::{Arc, Mutex, mpsc};

use futures_util::FutureExt as _;
use shared::db::{Connection, DbError};
use shared::key::KeyPolicy;

use crate::app::TestApp;
use crate::client::get;
use crate::worker::Act;

/// Records that are read slowly keep no call and no key waiting; who asks for records where too many wait already is refused at once.
#[actix_web::test]
async fn slow_records_delay_nobody_else() {
    let app = TestApp::start(|_| vec![Act::Answer(&[r#"{"answer":1}"#], 1)]).await;
    let database = app.deployment.database.clone();
    let (end, ended) = mpsc::channel::<()>();
    let ended = Arc::new(Mutex::new(ended));
    let (begin, mut begun) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..2 {
        let (database, ended, begin) = (database.clone(), Arc::clone(&ended), begin.clone());
        let slow = move |_: &mut Connection| {
            begin.send(()).unwrap();
            let _ = ended.lock().unwrap().recv();
            Ok(())
        };
        tokio::spawn(async move { database.read_records(slow).await });
        begun.recv().await.unwrap();
    }
    let mut waiting = Vec::new();
    loop {
        let mut read = Box::pin(database.read_records(|_| Ok(())));
        if let Some(refused) = read.as_mut().now_or_never() {
            assert!(matches!(refused, Err(DbError::Busy(_))), "{refused:?}");
            break;
        }
        waiting.push(read);
        assert!(waiting.len() < 10_000, "any number may wait");
    }

    let repeated = || app.chat().header("Idempotency-Key", "k");
    let (first, again) = (app.send(repeated()).await, app.send(repeated()).await);
    assert_eq!((first.status, again.status), (200, 200), "{} {}", first.body, again.body);
    assert_eq!((again.header("idempotent-replayed"), &again.body), (Some("true"), &first.body));
    let new_key = app.key(app.tenant, KeyPolicy::default()).await;
    assert_eq!(app.send(get("/v1/models").bearer(&new_key)).await.status, 200);
    let refused = app.send(get("/v1/balance").bearer(&app.key)).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")), "{}", refused.body);

    drop((end, waiting));
    assert_eq!(app.send(get("/v1/balance").bearer(&app.key)).await.status, 200);
}
