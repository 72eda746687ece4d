//! The navigation of the panel.

use crate::frame::navigation::{Item, item};

/// All of them, in their order.
pub(crate) const ITEMS: [Item; 12] = [
    item("/dashboard", "d", "Dashboard", "概览"),
    item("/tenants", "t", "Tenants", "客户"),
    item("/keys", "k", "Keys", "密钥"),
    item("/top-ups", "p", "Top-ups", "充值"),
    item("/codes", "r", "Redeem codes", "兑换码"),
    item("/usage", "u", "Usage", "用量"),
    item("/ledger", "l", "Ledger", "账本"),
    item("/channels", "c", "Channels", "渠道"),
    item("/models", "m", "Models", "模型与价格"),
    item("/audit", "a", "Audit", "审计"),
    item("/staff", "f", "Staff", "人员"),
    item("/settings", "s", "Settings", "设置"),
];
