//! Lists that are shown a page at a time: each page begins behind the last row of the one before, whatever was added meanwhile.

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows, in the list's order.
    pub rows: Vec<T>,
    /// Whether the list goes on behind the last one.
    pub has_more: bool,
}

impl<T> Page<T> {
    /// The page of at most `limit` rows, of `found`, which were asked for with [`and_one_more`].
    pub(crate) fn of(mut found: Vec<T>, limit: usize) -> Self {
        let has_more = found.len() > limit;
        found.truncate(limit);
        Self { rows: found, has_more }
    }

    /// The same page of what `change` makes of the rows.
    pub(crate) fn try_map<U, E>(self, change: impl FnMut(T) -> Result<U, E>) -> Result<Page<U>, E> {
        let rows = self.rows.into_iter().map(change).collect::<Result<_, _>>()?;
        Ok(Page { rows, has_more: self.has_more })
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
        assert_eq!(Page::of(vec![1, 2, 3], 2), Page { rows: vec![1, 2], has_more: true });
        assert_eq!(Page::of(vec![1, 2], 2), Page { rows: vec![1, 2], has_more: false });
        let texts = Page::of(vec![1, 2], 1).try_map(|number| Ok::<_, ()>(number.to_string()));
        assert_eq!(texts, Ok(Page { rows: vec!["1".to_owned()], has_more: true }));
    }
}
