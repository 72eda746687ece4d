//! Lists of any number of rows, page by page, for whoever writes them to a file.

use crate::db::{Connection, Database, DbError};
use crate::page::Cursor;

/// Rows that one read gives; it keeps each short, so that nobody else waits.
const PAGE: usize = 500;

/// A filter of a list that can be read page by page.
pub trait Listed: Clone + Send + 'static {
    /// A row of the list.
    type Row: Send + 'static;
    /// What names a row.
    type Key: std::fmt::Debug + Copy + Send + 'static;

    /// At most `limit` rows that it lets through, at the `cursor`.
    ///
    /// # Errors
    /// [`DbError`].
    fn rows(
        &self,
        connection: &mut Connection,
        cursor: Cursor<Self::Key>,
        limit: usize,
    ) -> Result<Piece<Self>, DbError>;
}

/// Rows of a list, and the last of them, where the list goes on behind it.
pub type Piece<F> = (Vec<<F as Listed>::Row>, Option<<F as Listed>::Key>);

/// All rows of a filter, in their order. What comes in between is not in it.
#[derive(Debug)]
pub struct Export<F: Listed> {
    database: Database,
    filter: F,
    /// Where the next page begins; `None` behind the last one.
    next: Option<Cursor<F::Key>>,
}

impl<F: Listed> Export<F> {
    /// Nothing is read before it is asked for.
    pub fn new(database: &Database, filter: F) -> Self {
        Self { database: database.clone(), filter, next: Some(Cursor::First) }
    }

    /// The next rows; `None` when there are no more.
    ///
    /// # Errors
    /// [`DbError`]; asked again, it tries the same page again.
    pub async fn next(&mut self) -> Result<Option<Vec<F::Row>>, DbError> {
        let Some(cursor) = self.next else { return Ok(None) };
        let filter = self.filter.clone();
        let read = move |connection: &mut Connection| filter.rows(connection, cursor, PAGE);
        let (rows, last) = self.database.read_records(read).await?;
        self.next = last.map(Cursor::Behind);
        Ok((!rows.is_empty()).then_some(rows))
    }
}
