//! Whether holds are open: those who ask at the same time share one read.

use std::collections::HashSet;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary};
use tokio::sync::{mpsc, oneshot};

use crate::db::{Column, Connection, Database, DbError, Statement, Value, sql};
use crate::id::RequestId;

/// The most requests of one read, and the most that wait for the next.
const MOST: usize = 256;

type Question = (RequestId, oneshot::Sender<Result<bool, DbError>>);

/// Asks the database which holds are open. Cheap to clone; its task ends when the last one is dropped.
#[derive(Debug, Clone)]
pub struct OpenHolds {
    questions: mpsc::Sender<Question>,
}

impl OpenHolds {
    /// Reads from `database`, in the present runtime.
    pub fn new(database: Database) -> Self {
        let (questions, mut asked) = mpsc::channel::<Question>(MOST);
        tokio::spawn(async move {
            let mut round = Vec::new();
            // What is asked during one read is answered by the next.
            while asked.recv_many(&mut round, MOST).await > 0 {
                answer(&database, std::mem::take(&mut round)).await;
            }
        });
        Self { questions }
    }

    /// Whether the hold of `request_id` is there and not settled.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn contains(&self, request_id: RequestId) -> Result<bool, DbError> {
        let (answer, answered) = oneshot::channel();
        let stopped = || DbError::Busy("the reader of holds has stopped".to_owned());
        self.questions.send((request_id, answer)).await.map_err(|_| stopped())?;
        answered.await.unwrap_or_else(|_| Err(stopped()))
    }
}

async fn answer(database: &Database, round: Vec<Question>) {
    let requests: Vec<RequestId> = round.iter().map(|(request_id, _)| *request_id).collect();
    let open = database.read(move |connection| open_among(connection, &requests)).await;
    for (request_id, answer) in round {
        // Whoever asked may have gone.
        let _ = answer.send(match &open {
            Ok(open) => Ok(open.contains(&request_id)),
            Err(error) => Err(error.alike()),
        });
    }
}

/// Those of `requests` whose hold is there and not settled.
fn open_among(connection: &mut Connection, requests: &[RequestId]) -> Result<HashSet<RequestId>, DbError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Binary)]
        request_id: Vec<u8>,
    }
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = BigInt)]
        open: i64,
    }
    if matches!(connection, Connection::Sqlite(_)) {
        let is_open = |request_id: &RequestId| -> Result<bool, DbError> {
            let sql = sql!(
                "SELECT count(*) AS open FROM holds h WHERE h.request_id = ? \
                 AND NOT EXISTS (SELECT 1 FROM settlements s WHERE s.request_id = h.request_id)"
            );
            let row: Count = Statement::new(sql, &[Value::Blob(request_id.as_bytes())]).get_result(connection)?;
            Ok(row.open > 0)
        };
        let found: Result<Vec<bool>, DbError> = requests.iter().map(is_open).collect();
        return Ok(requests.iter().zip(found?).filter_map(|(id, is_open)| is_open.then_some(*id)).collect());
    }
    let ids = Column::Blobs(requests.iter().map(|id| id.as_bytes().as_slice()).collect());
    // Looked up one by one, as the ledger's batches do.
    let sql = sql!(
        "SELECT h.request_id FROM unnest(?::bytea[]) AS q(id) \
         CROSS JOIN LATERAL (SELECT request_id FROM holds WHERE request_id = q.id OFFSET 0) h \
         LEFT JOIN LATERAL (SELECT request_id FROM settlements WHERE request_id = q.id OFFSET 0) s ON TRUE \
         WHERE s.request_id IS NULL"
    );
    let rows: Vec<Row> = Statement::new(sql, &[Value::Column(&ids)]).load(connection)?;
    let id =
        |row: Row| RequestId::from_slice(&row.request_id).ok_or_else(|| DbError::Corrupt("a hold's id".to_owned()));
    rows.into_iter().map(id).collect()
}
