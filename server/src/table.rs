//! Plain tables for people: columns as wide as their widest cell, numbers to the right.

/// Which side the cells of a column keep to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// The table, with its headings; `nothing` when there is no row.
pub(crate) fn table<const N: usize>(headings: [(&str, Side); N], rows: &[[String; N]], nothing: &str) -> String {
    if rows.is_empty() {
        return nothing.to_owned();
    }
    let titles = headings.map(|(title, _)| title.to_owned());
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().chain([&titles]).map(|row| width(&row[column])).max().unwrap_or(0));
    let line = |row: &[String; N]| {
        let cells: Vec<String> = std::array::from_fn::<_, N, _>(|column| {
            let padding = " ".repeat(widths[column].saturating_sub(width(&row[column])));
            match headings[column].1 {
                Side::Left => format!("{}{padding}", row[column]),
                Side::Right => format!("{padding}{}", row[column]),
            }
        })
        .into();
        cells.join("  ").trim_end().to_owned()
    };
    [&titles].into_iter().chain(rows).map(line).collect::<Vec<_>>().join("\n")
}

/// How many columns of a terminal the text takes: characters of East Asia take two.
fn width(text: &str) -> usize {
    text.chars().map(|character| if is_wide(character) { 2 } else { 1 }).sum()
}

fn is_wide(character: char) -> bool {
    matches!(u32::from(character), 0x1100..=0x115F | 0x2E80..=0xA4CF | 0xAC00..=0xD7A3 | 0xF900..=0xFAFF | 0xFE30..=0xFE6F | 0xFF00..=0xFF60 | 0x1F300..=0x1FAFF | 0x20000..=0x3FFFD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_also_with_hanzi() {
        let rows = [["小一".to_owned(), "7".to_owned()], ["acme".to_owned(), "10.50".to_owned()]];
        let text = table([("NAME", Side::Left), ("POSTED", Side::Right)], &rows, "");
        assert_eq!(text, "NAME  POSTED\n小一       7\nacme   10.50");
    }

    #[test]
    fn an_empty_table_says_so() {
        assert_eq!(table([("NAME", Side::Left)], &[], "No tenants yet."), "No tenants yet.");
    }
}
