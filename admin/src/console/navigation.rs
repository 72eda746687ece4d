//! The navigation of the console.

use crate::frame::navigation::{Item, item};

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
