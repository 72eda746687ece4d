//! A fixed SQL text with its values, prepared once per connection.
//!
//! diesel prepares `sql_query` and every `UPDATE` anew each time, which costs a fifth of the ledger's rate.
//! This fragment is cached by its text instead: write `?` for each value, in order.

use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text, Untyped};
use diesel::sqlite::Sqlite;

use super::Connection;

/// A value for one `?`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    Int(i64),
    MaybeInt(Option<i64>),
    Flag(bool),
    Blob(&'a [u8]),
    MaybeBlob(Option<&'a [u8]>),
    Text(&'a str),
    MaybeText(Option<&'a str>),
}

/// A statement and its values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statement<'a> {
    sql: &'static str,
    values: &'a [Value<'a>],
}

impl<'a> Statement<'a> {
    /// `sql` has one `?` for each of `values`.
    pub(crate) fn new(sql: &'static str, values: &'a [Value<'a>]) -> Self {
        debug_assert_eq!(sql.matches('?').count(), values.len(), "{sql}");
        Self { sql, values }
    }

    /// Runs it and checks that it touched exactly one row.
    pub(crate) fn touch_one(self, connection: &mut Connection) -> QueryResult<()> {
        match self.execute(connection)? {
            1 => Ok(()),
            rows => Err(diesel::result::Error::QueryBuilderError(format!("{rows} rows touched, not 1, by: {}", self.sql).into())),
        }
    }
}

impl QueryId for Statement<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Statement<'_> {
    type SqlType = Untyped;
}

impl RunQueryDsl<Connection> for Statement<'_> {}

impl QueryFragment<Sqlite> for Statement<'_> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        let mut values = self.values.iter();
        for (index, piece) in self.sql.split('?').enumerate() {
            if index > 0 {
                match values.next() {
                    Some(Value::Int(value)) => pass.push_bind_param::<BigInt, _>(value)?,
                    Some(Value::MaybeInt(value)) => pass.push_bind_param::<Nullable<BigInt>, _>(value)?,
                    Some(Value::Flag(value)) => pass.push_bind_param::<Bool, _>(value)?,
                    Some(Value::Blob(value)) => pass.push_bind_param::<Binary, _>(*value)?,
                    Some(Value::MaybeBlob(value)) => pass.push_bind_param::<Nullable<Binary>, _>(value)?,
                    Some(Value::Text(value)) => pass.push_bind_param::<Text, _>(*value)?,
                    Some(Value::MaybeText(value)) => pass.push_bind_param::<Nullable<Text>, _>(value)?,
                    None => return Err(diesel::result::Error::QueryBuilderError("fewer values than ? in a statement".into())),
                }
            }
            pass.push_sql(piece);
        }
        Ok(())
    }
}
