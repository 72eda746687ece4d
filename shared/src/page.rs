//! Lists that are shown a page at a time: each page begins behind the last row of the one before, or ends in front of the first row of the one
//! behind it, whatever was added meanwhile.

/// Where a page of a list lies: a row is named by its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cursor<K> {
    /// At the beginning.
    #[default]
    First,
    /// Behind this row.
    Behind(K),
    /// In front of this row, and it ends there.
    Before(K),
}

impl<K> Cursor<K> {
    /// The same place by another name of the row.
    pub fn map<L>(self, change: impl FnOnce(K) -> L) -> Cursor<L> {
        match self {
            Self::First => Cursor::First,
            Self::Behind(key) => Cursor::Behind(change(key)),
            Self::Before(key) => Cursor::Before(change(key)),
        }
    }

    /// The row that is named.
    pub(crate) const fn key(&self) -> Option<&K> {
        match self {
            Self::First => None,
            Self::Behind(key) | Self::Before(key) => Some(key),
        }
    }

    /// Whether rows are to be read against the list's order, from the one that is named.
    pub(crate) const fn is_backwards(&self) -> bool {
        matches!(self, Self::Before(_))
    }
}

/// Behind the row that is there, or else at the beginning.
impl<K> From<Option<K>> for Cursor<K> {
    fn from(key: Option<K>) -> Self {
        key.map_or(Self::First, Self::Behind)
    }
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows, in the list's order.
    pub rows: Vec<T>,
    /// Whether the list goes on behind the last one.
    pub has_more: bool,
    /// Whether there are rows in front of the first one.
    pub has_before: bool,
}

impl<T> Page<T> {
    /// The page of at most `limit` rows at `cursor`, of `found`, which were asked for with [`and_one_more`] in the direction of the cursor.
    pub(crate) fn of<K>(mut found: Vec<T>, cursor: &Cursor<K>, limit: usize) -> Self {
        let goes_on = found.len() > limit;
        found.truncate(limit);
        match cursor {
            Cursor::First => Self { rows: found, has_more: goes_on, has_before: false },
            Cursor::Behind(_) => Self { rows: found, has_more: goes_on, has_before: true },
            Cursor::Before(_) => {
                found.reverse();
                Self { rows: found, has_more: true, has_before: goes_on }
            }
        }
    }

    /// One without rows: nothing fits, or the row at the cursor is unknown.
    pub(crate) const fn empty() -> Self {
        Self { rows: Vec::new(), has_more: false, has_before: false }
    }

    /// Its rows, and the key of the last one where the list goes on behind it.
    pub(crate) fn with_last<K>(self, key: impl FnOnce(&T) -> K) -> (Vec<T>, Option<K>) {
        let last = self.rows.last().filter(|_| self.has_more).map(key);
        (self.rows, last)
    }

    /// The same page of what `change` makes of the rows.
    pub(crate) fn try_map<U, E>(self, change: impl FnMut(T) -> Result<U, E>) -> Result<Page<U>, E> {
        let rows = self.rows.into_iter().map(change).collect::<Result<_, _>>()?;
        Ok(Page { rows, has_more: self.has_more, has_before: self.has_before })
    }
}

/// How many rows to ask the database for, to know whether there are more than `limit`.
pub(crate) fn and_one_more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_row_more_than_asked_for_shows_that_there_are_more() {
        assert_eq!(and_one_more(2), 3);
        assert_eq!(and_one_more(usize::MAX), i64::MAX);
        let page = |rows: &[i32], has_more, has_before| Page { rows: rows.to_vec(), has_more, has_before };
        assert_eq!(Page::of(vec![1, 2, 3], &Cursor::<()>::First, 2), page(&[1, 2], true, false));
        assert_eq!(Page::of(vec![2, 3], &Cursor::Behind(1), 2), page(&[2, 3], false, true));
        assert_eq!(Page::of(vec![3, 2, 1], &Cursor::Before(4), 2), page(&[2, 3], true, true));
        assert_eq!(Page::of(vec![2, 1], &Cursor::Before(3), 2), page(&[1, 2], true, false));
        let texts = page(&[1], true, false).try_map(|number| Ok::<_, ()>(number.to_string()));
        assert_eq!(texts, Ok(Page { rows: vec!["1".to_owned()], has_more: true, has_before: false }));
    }
}
