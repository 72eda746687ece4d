//! An entry of a side's navigation.

/// One entry. `g` and then `key` leads there.
pub(crate) struct Item {
    pub(crate) path: &'static str,
    pub(crate) key: &'static str,
    pub(crate) english: &'static str,
    pub(crate) chinese: &'static str,
}

/// An entry.
pub(crate) const fn item(path: &'static str, key: &'static str, english: &'static str, chinese: &'static str) -> Item {
    Item { path, key, english, chinese }
}
