//! Calls of any number, page by page, for whoever writes them to a file.

use super::filter::CallFilter;
use super::list::{CallRow, Cursor, list};
use crate::db::{Database, DbError};

/// Calls that one read gives; it keeps each short, so that nobody else waits.
const PAGE: usize = 500;

/// All calls of a filter, newest first. What comes in between is not in it.
#[derive(Debug)]
pub struct CallExport {
    database: Database,
    filter: CallFilter,
    /// Where the next page begins; `None` behind the last one.
    next: Option<Cursor>,
}

impl CallExport {
    /// Nothing is read before it is asked for.
    pub fn new(database: &Database, filter: CallFilter) -> Self {
        Self { database: database.clone(), filter, next: Some(Cursor::Newest) }
    }

    /// The next calls; `None` when there are no more.
    ///
    /// # Errors
    /// [`DbError`]; asked again, it tries the same page again.
    pub async fn next(&mut self) -> Result<Option<Vec<CallRow>>, DbError> {
        let Some(cursor) = self.next else { return Ok(None) };
        let filter = self.filter.clone();
        let page = self.database.read_records(move |connection| list(connection, &filter, cursor, PAGE)).await?;
        self.next = page.older.map(Cursor::Older);
        Ok((!page.rows.is_empty()).then_some(page.rows))
    }
}
