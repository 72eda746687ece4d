//! The database itself: one that a newer program has been at.

use diesel::connection::SimpleConnection;
use shared::db::{Database, DbError};

use crate::ledger::books::Books;

#[tokio::test]
async fn what_a_newer_program_has_been_at_is_left_alone() {
    let Books { database, .. } = &Books::new().await;
    let newer = "INSERT INTO __diesel_schema_migrations (version) VALUES ('99991231000001')";
    database.write(|connection| Ok::<_, DbError>(connection.batch_execute(newer)?)).await.unwrap();
    for opened in [Database::open(database.url()), Database::open_or_create(database.url()).map(|(opened, _)| opened)] {
        assert!(matches!(&opened, Err(DbError::Migration(why)) if why.contains("99991231000001")), "{opened:?}");
    }
}
