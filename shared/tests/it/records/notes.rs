//! Notes on a tenant.

use rstest::rstest;
use shared::db::DbError;
use shared::id::TenantId;
use shared::tenant::notes::{self, Note, NoteError};

use super::START;
use crate::ledger::books::Books;

async fn add(books: &Books, tenant: TenantId, author: &str, text: &str) -> Result<Note, NoteError> {
    let (author, text, now) = (author.to_owned(), text.to_owned(), books.clock.now());
    books.change(move |connection| notes::add(connection, tenant, &author, &text, now)).await
}

#[tokio::test]
async fn notes_are_listed_newest_first() {
    let books = Books::at(START).await;
    let (tenant, other) = (books.tenant("t", 0).await, books.tenant("other", 0).await);
    let first = add(&books, tenant, "ann@example.com", "  first line\r\nsecond line\n").await.unwrap();
    let of_other = add(&books, other, "ann@example.com", "not this one").await.unwrap();
    books.advance(1_000);
    let hostile = "<script>alert(1)</script>\"'&\u{202e}😀 小易";
    let second = add(&books, tenant, "bob@example.com", hostile).await.unwrap();
    assert_eq!((first.text.as_str(), first.created_at), ("first line\nsecond line", START));
    assert_eq!((second.text.as_str(), second.created_at), (hostile, START.plus_ms(1_000)));
    let list = |before, limit| books.look(move |connection| notes::list(connection, tenant, before, limit));
    let newest = list(None, 1).await;
    assert_eq!((&newest.rows[..], newest.has_more), (&[second.clone()][..], true));
    let older = list(Some(second.id), 9).await;
    assert_eq!((&older.rows[..], older.has_more), (&[first][..], false));
    let others = books.look(move |connection| notes::list(connection, other, None, 9)).await;
    assert_eq!(others.rows, [of_other]);
}

#[rstest]
#[case::empty("ann", "", "a note has")]
#[case::blank("ann", " \r\n ", "a note has")]
#[case::long("ann", &"n".repeat(2_001), "a note has")]
#[case::tab("ann", "a\tb", "a note has")]
#[case::nul("ann", "a\0b", "a note has")]
#[case::a_lone_return("ann", "a\rb", "a note has")]
#[case::nobody("", "a", "the author")]
#[case::author_of_two_lines("a\nb", "a", "the author")]
#[tokio::test]
async fn what_is_no_note(#[case] author: &str, #[case] text: &str, #[case] why: &str) {
    let books = Books::new().await;
    let tenant = books.tenant("t", 0).await;
    let error = add(&books, tenant, author, text).await.unwrap_err();
    assert!(error.to_string().contains(why), "{error}");
    assert!(add(&books, tenant, "ann", &"小".repeat(2_000)).await.is_ok());
}

#[tokio::test]
async fn a_note_is_on_a_tenant_and_stays() {
    use diesel::connection::SimpleConnection;
    let books = Books::new().await;
    let tenant = books.tenant("t", 0).await;
    let nobody = add(&books, TenantId(9_999), "ann", "a").await.unwrap_err();
    assert!(matches!(nobody, NoteError::Database(DbError::Query(_))), "{nobody:?}");
    let note = add(&books, tenant, "ann", "a").await.unwrap();
    for attack in ["UPDATE tenant_notes SET text = 'b'", "DELETE FROM tenant_notes"] {
        assert!(books.bare_connection().batch_execute(attack).is_err(), "{attack}");
    }
    assert_eq!(books.look(move |connection| notes::list(connection, tenant, None, 9)).await.rows, [note]);
}
