//! The navigation of the console.

/// One entry. `g` and then `key` leads there.
pub(crate) struct Item {
    pub(crate) path: &'static str,
    pub(crate) key: &'static str,
    pub(crate) english: &'static str,
    pub(crate) chinese: &'static str,
}

const fn item(path: &'static str, key: &'static str, english: &'static str, chinese: &'static str) -> Item {
    Item { path, key, english, chinese }
}

/// All of them, in their order.
pub(crate) const ITEMS: [Item; 7] = [
    item("/console", "o", "Overview", "概览"),
    item("/console/calls", "c", "Calls", "调用记录"),
    item("/console/usage", "u", "Usage", "用量"),
    item("/console/keys", "k", "Keys", "密钥"),
    item("/console/redeem", "r", "Redeem", "兑换"),
    item("/console/samples", "s", "Samples", "示例代码"),
    item("/console/playground", "p", "Playground", "试用"),
];

impl Item {
    /// Whether a page belongs to this entry; `here` is the first part of its path, nothing on the overview.
    pub(crate) fn is_here(&self, here: &str) -> bool {
        self.path == here || (here.is_empty() && self.path == "/console")
    }
}
