//! A fixed SQL text with its values, prepared once per connection.
//!
//! diesel prepares `sql_query` and every `UPDATE` anew each time, which costs a fifth of the ledger's rate. `sql!("...")` gives a
//! text a type of its own instead, by which diesel finds the prepared statement again. Write `?` for each value, in order;
//! another number of values does not compile.

use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text, Untyped};
use diesel::sqlite::Sqlite;

use super::Connection;

/// The SQL text of a [`Statement`], as a type.
macro_rules! sql {
    ($sql:expr) => {{
        #[derive(Debug)]
        struct Fixed;
        impl $crate::db::FixedSql for Fixed {
            const SQL: &'static str = $sql;
            const PIECES: &'static [&'static str] = &$crate::db::pieces::<{ $crate::db::count_pieces($sql) }>($sql);
        }
        Fixed
    }};
}
pub(crate) use sql;

/// What `sql!` gives.
pub(crate) trait FixedSql: 'static {
    /// The whole text.
    const SQL: &'static str;
    /// The text between the `?`.
    const PIECES: &'static [&'static str];
}

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
#[derive(Debug)]
pub(crate) struct Statement<'a, T> {
    sql: std::marker::PhantomData<T>,
    values: &'a [Value<'a>],
}

impl<'a, T: FixedSql> Statement<'a, T> {
    /// `sql` has one `?` for each of `values`.
    pub(crate) fn new<const VALUES: usize>(_sql: T, values: &'a [Value<'a>; VALUES]) -> Self {
        const { assert!(T::PIECES.len() == VALUES + 1, "one value for each ?") }
        Self { sql: std::marker::PhantomData, values }
    }

    /// Runs it and checks that it touched exactly one row.
    pub(crate) fn touch_one(self, connection: &mut Connection) -> QueryResult<()> {
        match self.execute(connection)? {
            1 => Ok(()),
            rows => Err(diesel::result::Error::QueryBuilderError(
                format!("{rows} rows touched, not 1, by: {}", T::SQL).into(),
            )),
        }
    }
}

/// How many pieces the `?` in a text make of it.
pub(crate) const fn count_pieces(sql: &str) -> usize {
    let mut count = 1;
    let mut at = 0;
    while at < sql.len() {
        if sql.as_bytes()[at] == b'?' {
            count += 1;
        }
        at += 1;
    }
    count
}

/// The text between the `?`, split when the program is compiled.
pub(crate) const fn pieces<const PIECES: usize>(sql: &'static str) -> [&'static str; PIECES] {
    let mut pieces = [""; PIECES];
    let mut rest = sql;
    let mut piece = 0;
    while piece < PIECES {
        let mut end = 0;
        while end < rest.len() && rest.as_bytes()[end] != b'?' {
            end += 1;
        }
        let (before, after) = rest.split_at(end);
        pieces[piece] = before;
        rest = if after.is_empty() { after } else { after.split_at(1).1 };
        piece += 1;
    }
    pieces
}

impl<T: FixedSql> QueryId for Statement<'_, T> {
    type QueryId = T;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<T> Query for Statement<'_, T> {
    type SqlType = Untyped;
}

impl<T> RunQueryDsl<Connection> for Statement<'_, T> {}

impl<T: FixedSql> QueryFragment<Sqlite> for Statement<'_, T> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        let mut values = self.values.iter();
        for piece in T::PIECES {
            pass.push_sql(piece);
            match values.next() {
                Some(Value::Int(value)) => pass.push_bind_param::<BigInt, _>(value)?,
                Some(Value::MaybeInt(value)) => pass.push_bind_param::<Nullable<BigInt>, _>(value)?,
                Some(Value::Flag(value)) => pass.push_bind_param::<Bool, _>(value)?,
                Some(Value::Blob(value)) => pass.push_bind_param::<Binary, _>(*value)?,
                Some(Value::MaybeBlob(value)) => pass.push_bind_param::<Nullable<Binary>, _>(value)?,
                Some(Value::Text(value)) => pass.push_bind_param::<Text, _>(*value)?,
                Some(Value::MaybeText(value)) => pass.push_bind_param::<Nullable<Text>, _>(value)?,
                None => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_split_at_its_values() {
        const SQL: &str = "SELECT ?, ? + 1";
        assert_eq!(count_pieces(SQL), 3);
        assert_eq!(pieces::<3>(SQL), ["SELECT ", ", ", " + 1"]);
        assert_eq!(pieces::<2>("?"), ["", ""]);
        assert_eq!(pieces::<1>("VACUUM"), ["VACUUM"]);
    }
}
