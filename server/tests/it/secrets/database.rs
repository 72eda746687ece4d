//! The values of a database as SQL gives them, whatever way the file holds them.

use std::path::Path;

use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};
use diesel::{QueryableByName, SqliteConnection};

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Nullable<Text>)]
    value: Option<String>,
}

/// Every column of every table, all rows of it in one piece; both as they are and as the bytes that a text in hexadecimal stands for.
pub(super) fn values(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    let mut ask = |query: String| -> Vec<String> {
        let rows: Vec<Row> = diesel::sql_query(query).load(&mut connection).unwrap();
        rows.into_iter().filter_map(|row| row.value).collect()
    };
    let mut values = Vec::new();
    for table in ask("SELECT name AS value FROM sqlite_master WHERE type = 'table'".to_owned()) {
        for column in ask(format!("SELECT name AS value FROM pragma_table_info('{table}')")) {
            let rows = ask(format!("SELECT hex(\"{column}\") AS value FROM \"{table}\""));
            let bytes = rows.iter().flat_map(|row| unhex(row).into_iter().chain([b'\n'])).collect();
            values.push((format!("column {table}.{column}"), bytes));
        }
    }
    assert!(values.len() > 50, "only {} columns", values.len());
    values
}

/// The bytes that a text in hexadecimal stands for.
pub(super) fn unhex(text: &str) -> Vec<u8> {
    let digits = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    text.as_bytes().chunks_exact(2).map(digits).collect()
}
