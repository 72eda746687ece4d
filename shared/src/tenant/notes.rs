//! Notes on a tenant, for people who operate the service. They are only added, so a note says what was known then.

use diesel::prelude::*;

use crate::clock::Timestamp;
use crate::db::schema::tenant_notes::dsl;
use crate::db::{Connection, DbError};
use crate::id::TenantId;
use crate::page::{Page, and_one_more};
use crate::typed_text::{is_line, is_lines};

/// The most characters of a note.
pub const LONGEST_NOTE: usize = 2_000;
/// The most notes on a tenant.
pub const MOST_NOTES: i64 = 10_000;
/// The most characters of the name of who writes one.
const LONGEST_AUTHOR: usize = 320;

/// A note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its id; later ones are larger.
    pub id: i64,
    /// Who wrote it.
    pub author: String,
    /// One or several lines.
    pub text: String,
    /// When.
    pub created_at: Timestamp,
}

/// Why a note was not added.
#[derive(Debug, thiserror::Error)]
pub enum NoteError {
    /// The text is empty or too long, or has control characters.
    #[error("a note has 1 to {LONGEST_NOTE} characters, and no control characters but ends of lines")]
    BadText,
    /// The author is no line of 1 to 320 characters.
    #[error("the author of a note is named by 1 to {LONGEST_AUTHOR} characters without control characters")]
    BadAuthor,
    /// The tenant has as many notes as it may.
    #[error("this tenant has {MOST_NOTES} notes, and may not have more")]
    TooMany,
    /// The database failed, or there is no such tenant.
    #[error(transparent)]
    Database(#[from] DbError),
}

impl From<diesel::result::Error> for NoteError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Adds a note, without the space around it. Where the author's newest note on this tenant says the same, none is added (`None`): it is
/// the same form, sent twice. Call it in a write transaction.
///
/// # Errors
/// [`NoteError`].
pub fn add_once(
    connection: &mut Connection,
    tenant: TenantId,
    author: &str,
    text: &str,
    now: Timestamp,
) -> Result<Option<Note>, NoteError> {
    let newest: Option<String> = dsl::tenant_notes
        .filter(dsl::tenant.eq(tenant.0).and(dsl::author.eq(author)))
        .order(dsl::id.desc())
        .select(dsl::text)
        .first(connection)
        .optional()?;
    if newest.is_some_and(|newest| newest == kept(text)) {
        return Ok(None);
    }
    add(connection, tenant, author, text, now).map(Some)
}

/// Adds a note, without the space around it. Call it in a write transaction.
///
/// # Errors
/// [`NoteError`].
pub fn add(
    connection: &mut Connection,
    tenant: TenantId,
    author: &str,
    text: &str,
    now: Timestamp,
) -> Result<Note, NoteError> {
    let text = kept(text);
    if !is_lines(&text, 1..=LONGEST_NOTE) {
        return Err(NoteError::BadText);
    }
    if !is_line(author, 1..=LONGEST_AUTHOR) {
        return Err(NoteError::BadAuthor);
    }
    let count: i64 = dsl::tenant_notes.filter(dsl::tenant.eq(tenant.0)).count().get_result(connection)?;
    if count >= MOST_NOTES {
        return Err(NoteError::TooMany);
    }
    let newest: Option<i64> = dsl::tenant_notes.select(diesel::dsl::max(dsl::id)).first(connection)?;
    let note = Note { id: newest.unwrap_or(0) + 1, author: author.to_owned(), text, created_at: now };
    diesel::insert_into(dsl::tenant_notes)
        .values((
            dsl::id.eq(note.id),
            dsl::tenant.eq(tenant.0),
            dsl::author.eq(&note.author),
            dsl::text.eq(&note.text),
            dsl::created_at.eq(now.0),
        ))
        .execute(connection)?;
    Ok(note)
}

/// A text as it is kept: forms end lines as HTTP does.
fn kept(text: &str) -> String {
    text.replace("\r\n", "\n").trim().to_owned()
}

/// The notes on a tenant, newest first, at most `limit`, behind the note `before` (from the newest on, with `None`).
///
/// # Errors
/// [`DbError`].
pub fn list(
    connection: &mut Connection,
    tenant: TenantId,
    before: Option<i64>,
    limit: usize,
) -> Result<Page<Note>, DbError> {
    let rows: Vec<(i64, String, String, i64)> = dsl::tenant_notes
        .filter(dsl::tenant.eq(tenant.0).and(dsl::id.lt(before.unwrap_or(i64::MAX))))
        .order(dsl::id.desc())
        .limit(and_one_more(limit))
        .select((dsl::id, dsl::author, dsl::text, dsl::created_at))
        .load(connection)?;
    Page::of(rows, &before.into(), limit)
        .try_map(|(id, author, text, created_at)| Ok(Note { id, author, text, created_at: Timestamp(created_at) }))
}
