//! A fixed SQL text with its values, prepared once per connection.
//!
//! diesel prepares `sql_query` and every `UPDATE` anew each time, which costs a fifth of the ledger's rate. `sql!("...")` gives a
//! text a type of its own instead, by which diesel finds the prepared statement again. Write `?` for each value, in order;
//! another number of values does not compile.

use diesel::backend::Backend;
use diesel::deserialize::FromSqlRow;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{Array, BigInt, Binary, Bool, HasSqlType, Nullable, Text, Untyped};
use diesel::sqlite::Sqlite;
use diesel::{PgConnection, SqliteConnection};

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
    /// A column of values, for PostgreSQL's `unnest`; SQLite has no such thing.
    Column(&'a Column<'a>),
}

/// One column of the rows that a statement writes at once.
#[derive(Debug)]
pub(crate) enum Column<'a> {
    Ints(Vec<i64>),
    MaybeInts(Vec<Option<i64>>),
    Flags(Vec<bool>),
    Blobs(Vec<&'a [u8]>),
    MaybeBlobs(Vec<Option<&'a [u8]>>),
    Texts(Vec<&'a str>),
    MaybeTexts(Vec<Option<&'a str>>),
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

    /// Runs it and gives how many rows it touched.
    pub(crate) fn execute(self, connection: &mut Connection) -> QueryResult<usize> {
        match connection {
            Connection::Postgres(connection) => RunQueryDsl::execute(self, connection),
            Connection::Sqlite(connection) => RunQueryDsl::execute(self, connection),
        }
    }

    /// Runs it and gives all rows.
    pub(crate) fn load<R: Row>(self, connection: &mut Connection) -> QueryResult<Vec<R>> {
        match connection {
            Connection::Postgres(connection) => RunQueryDsl::load(self, connection),
            Connection::Sqlite(connection) => RunQueryDsl::load(self, connection),
        }
    }

    /// Runs it and gives the first row.
    pub(crate) fn get_result<R: Row>(self, connection: &mut Connection) -> QueryResult<R> {
        match connection {
            Connection::Postgres(connection) => RunQueryDsl::get_result(self, connection),
            Connection::Sqlite(connection) => RunQueryDsl::get_result(self, connection),
        }
    }

    /// Runs it and checks that it touched exactly one row.
    pub(crate) fn touch_one(self, connection: &mut Connection) -> QueryResult<()> {
        self.touch(1, connection)
    }

    /// Runs it and checks that it touched exactly `expected` rows.
    pub(crate) fn touch(self, expected: usize, connection: &mut Connection) -> QueryResult<()> {
        match self.execute(connection)? {
            rows if rows == expected => Ok(()),
            rows => Err(diesel::result::Error::QueryBuilderError(
                format!("{rows} rows touched, not {expected}, by: {}", T::SQL).into(),
            )),
        }
    }
}

/// A statement that is put together when it is needed, for queries of people: with many filters, only those that are asked for are in it,
/// so each engine finds the index that fits. It is prepared anew each time.
#[derive(Debug, Default)]
pub(crate) struct Composed<'a> {
    parts: Vec<Part<'a>>,
}

#[derive(Debug)]
enum Part<'a> {
    Sql(&'static str),
    Value(Value<'a>),
}

impl<'a> Composed<'a> {
    /// Begins with this text, without any value.
    pub(crate) fn new(sql: &'static str) -> Self {
        Self { parts: vec![Part::Sql(sql)] }
    }

    /// Adds text, with one `?` for each of `values`.
    pub(crate) fn and<const VALUES: usize>(&mut self, sql: &'static str, values: [Value<'a>; VALUES]) -> &mut Self {
        debug_assert_eq!(sql.matches('?').count(), VALUES, "{sql}");
        let mut values = values.into_iter();
        for (at, piece) in sql.split('?').enumerate() {
            if at > 0
                && let Some(value) = values.next()
            {
                self.parts.push(Part::Value(value));
            }
            self.parts.push(Part::Sql(piece));
        }
        self
    }

    /// Runs it and gives all rows.
    pub(crate) fn load<R: Row>(self, connection: &mut Connection) -> QueryResult<Vec<R>> {
        match connection {
            Connection::Postgres(connection) => RunQueryDsl::load(self, connection),
            Connection::Sqlite(connection) => RunQueryDsl::load(self, connection),
        }
    }

    fn walk<'b, DB>(&'b self, mut pass: AstPass<'_, 'b, DB>) -> QueryResult<()>
    where
        DB: Backend + HasSqlType<BigInt> + HasSqlType<Bool> + HasSqlType<Binary> + HasSqlType<Text>,
        i64: ToSql<BigInt, DB>,
        bool: ToSql<Bool, DB>,
        [u8]: ToSql<Binary, DB>,
        str: ToSql<Text, DB>,
    {
        pass.unsafe_to_cache_prepared();
        for part in &self.parts {
            match part {
                Part::Sql(sql) => pass.push_sql(sql),
                Part::Value(value) => push_value(&mut pass, value, |_, column| Err(no_columns(column)))?,
            }
        }
        Ok(())
    }
}

impl QueryId for Composed<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Composed<'_> {
    type SqlType = Untyped;
}

impl RunQueryDsl<SqliteConnection> for Composed<'_> {}
impl RunQueryDsl<PgConnection> for Composed<'_> {}

impl QueryFragment<Sqlite> for Composed<'_> {
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        self.walk(pass)
    }
}

impl QueryFragment<Pg> for Composed<'_> {
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.walk(pass)
    }
}

/// What either engine can give as a row.
pub(crate) trait Row: FromSqlRow<Untyped, Sqlite> + FromSqlRow<Untyped, Pg> + 'static {}

impl<R: FromSqlRow<Untyped, Sqlite> + FromSqlRow<Untyped, Pg> + 'static> Row for R {}

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

impl<T> RunQueryDsl<SqliteConnection> for Statement<'_, T> {}
impl<T> RunQueryDsl<PgConnection> for Statement<'_, T> {}

impl<T: FixedSql> QueryFragment<Sqlite> for Statement<'_, T> {
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        self.walk(pass, |_, column| Err(no_columns(column)))
    }
}

impl<T: FixedSql> QueryFragment<Pg> for Statement<'_, T> {
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.walk(pass, |pass, column| match column {
            Column::Ints(values) => pass.push_bind_param::<Array<BigInt>, _>(values),
            Column::MaybeInts(values) => pass.push_bind_param::<Array<Nullable<BigInt>>, _>(values),
            Column::Flags(values) => pass.push_bind_param::<Array<Bool>, _>(values),
            Column::Blobs(values) => pass.push_bind_param::<Array<Binary>, _>(values),
            Column::MaybeBlobs(values) => pass.push_bind_param::<Array<Nullable<Binary>>, _>(values),
            Column::Texts(values) => pass.push_bind_param::<Array<Text>, _>(values),
            Column::MaybeTexts(values) => pass.push_bind_param::<Array<Nullable<Text>>, _>(values),
        })
    }
}

impl<T: FixedSql> Statement<'_, T> {
    fn walk<'b, DB>(
        &'b self,
        mut pass: AstPass<'_, 'b, DB>,
        push_column: impl Fn(&mut AstPass<'_, 'b, DB>, &'b Column<'b>) -> QueryResult<()>,
    ) -> QueryResult<()>
    where
        DB: Backend + HasSqlType<BigInt> + HasSqlType<Bool> + HasSqlType<Binary> + HasSqlType<Text>,
        i64: ToSql<BigInt, DB>,
        bool: ToSql<Bool, DB>,
        [u8]: ToSql<Binary, DB>,
        str: ToSql<Text, DB>,
    {
        let mut values = self.values.iter();
        for piece in T::PIECES {
            pass.push_sql(piece);
            if let Some(value) = values.next() {
                push_value(&mut pass, value, &push_column)?;
            }
        }
        Ok(())
    }
}

fn push_value<'b, DB>(
    pass: &mut AstPass<'_, 'b, DB>,
    value: &'b Value<'b>,
    push_column: impl Fn(&mut AstPass<'_, 'b, DB>, &'b Column<'b>) -> QueryResult<()>,
) -> QueryResult<()>
where
    DB: Backend + HasSqlType<BigInt> + HasSqlType<Bool> + HasSqlType<Binary> + HasSqlType<Text>,
    i64: ToSql<BigInt, DB>,
    bool: ToSql<Bool, DB>,
    [u8]: ToSql<Binary, DB>,
    str: ToSql<Text, DB>,
{
    match value {
        Value::Int(value) => pass.push_bind_param::<BigInt, _>(value),
        Value::MaybeInt(value) => pass.push_bind_param::<Nullable<BigInt>, _>(value),
        Value::Flag(value) => pass.push_bind_param::<Bool, _>(value),
        Value::Blob(value) => pass.push_bind_param::<Binary, _>(*value),
        Value::MaybeBlob(value) => pass.push_bind_param::<Nullable<Binary>, _>(value),
        Value::Text(value) => pass.push_bind_param::<Text, _>(*value),
        Value::MaybeText(value) => pass.push_bind_param::<Nullable<Text>, _>(value),
        Value::Column(column) => push_column(pass, column),
    }
}

fn no_columns(column: &Column<'_>) -> diesel::result::Error {
    diesel::result::Error::QueryBuilderError(format!("columns of values have no place here, such as {column:?}").into())
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
