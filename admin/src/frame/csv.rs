//! CSV of any size: rows are written page by page while the browser reads, so neither side holds more than one page.

use std::future::Future;

use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_DISPOSITION;
use actix_web::web::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use shared::db::DbError;
use shared::export::{Export, Listed};

/// A file of comma-separated values, written row by row.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    text: String,
}

impl Rows {
    /// One that begins with these headings.
    pub(crate) fn with_head<const COLUMNS: usize>(headings: [&str; COLUMNS]) -> Self {
        let mut rows = Self::default();
        rows.add(headings);
        rows
    }

    /// Adds one row. A field that a spreadsheet would take for a formula begins with an apostrophe instead.
    pub(crate) fn add<'a>(&mut self, fields: impl IntoIterator<Item = &'a str>) {
        for (at, field) in fields.into_iter().enumerate() {
            if at > 0 {
                self.text.push(',');
            }
            self.field(field);
        }
        self.text.push_str("\r\n");
    }

    fn field(&mut self, field: &str) {
        let is_number =
            field.strip_prefix('-').unwrap_or(field).bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let is_formula = !is_number && field.starts_with(['=', '+', '-', '@', '\t', '\r']);
        let apostrophe = if is_formula { "'" } else { "" };
        if field.contains(['"', ',', '\n', '\r']) || field.trim() != field {
            self.text.push('"');
            self.text.push_str(apostrophe);
            self.text.push_str(&field.replace('"', "\"\""));
            self.text.push('"');
        } else {
            self.text.push_str(apostrophe);
            self.text.push_str(field);
        }
    }

    /// What was written since the last time.
    pub(crate) fn take(&mut self) -> Bytes {
        Bytes::from(std::mem::take(&mut self.text))
    }
}

/// A file that begins with `rows`: `write` adds all that `list` gives, page by page.
pub(crate) fn pieces<F: Listed>(
    list: Export<F>,
    rows: Rows,
    write: impl AsyncFnMut(&mut Rows, &[F::Row]) -> Result<(), DbError> + 'static,
) -> impl Stream<Item = Result<Bytes, DbError>> + 'static {
    stream::try_unfold((list, rows, write), |(mut list, mut rows, mut write)| async move {
        // Without any rows the headings are still to be sent.
        let page = list.next().await?;
        if let Some(page) = &page {
            write(&mut rows, page).await?;
        }
        let piece = rows.take();
        Ok((page.is_some() || !piece.is_empty()).then_some((piece, (list, rows, write))))
    })
}

/// The session that a file is for.
pub(crate) trait Session: 'static {
    /// Whether whoever asked for the file may still see it.
    fn is_open(&self) -> impl Future<Output = Result<bool, DbError>>;
}

/// Why a file is not whole.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the session has ended")]
    SignedOut,
    #[error(transparent)]
    Database(#[from] DbError),
}

/// Sends pieces of a file as they come, for as long as its session is open: it is asked for before each. A failure breaks the transfer off,
/// so that nobody takes a part for the whole.
pub(crate) fn send(
    name: &'static str,
    session: impl Session,
    pieces: impl Stream<Item = Result<Bytes, DbError>> + 'static,
) -> HttpResponse {
    let pieces =
        watched(session, pieces).inspect_err(move |error| tracing::warn!(%error, "the file {name}.csv broke off"));
    HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8")
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.csv\"")))
        .streaming(pieces)
}

fn watched(
    session: impl Session,
    pieces: impl Stream<Item = Result<Bytes, DbError>> + 'static,
) -> impl Stream<Item = Result<Bytes, Broken>> {
    stream::try_unfold((session, Box::pin(pieces)), |(session, mut pieces)| async move {
        if !session.is_open().await? {
            return Err(Broken::SignedOut);
        }
        Ok(pieces.next().await.transpose()?.map(|piece| (piece, (session, pieces))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_and_no_formula_gets_through() {
        let mut rows = Rows::default();
        rows.add(["a", "b,c", "say \"hi\"", "two\nlines", " space ", ""]);
        rows.add(["=1+1", "-2.50", "-x", "@sum", "+1", "小一"]);
        let text = String::from_utf8(rows.take().to_vec()).unwrap();
        assert_eq!(
            text,
            "a,\"b,c\",\"say \"\"hi\"\"\",\"two\nlines\",\" space \",\r\n'=1+1,-2.50,'-x,'@sum,'+1,小一\r\n"
        );
        assert!(rows.take().is_empty());
    }
}
