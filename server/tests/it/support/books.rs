//! The books of a tenant as its developers read them, page by page, and what must be true of them at any time.

use std::collections::HashMap;

use serde_json::Value;

use super::money::nanos;

/// Entries of one page.
const PAGE: usize = 250;

/// One movement of the balance. Amounts are in 1e-9 of the currency.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) kind: String,
    pub(crate) amount: i64,
    pub(crate) request_id: Option<String>,
    pub(crate) reference: Option<String>,
}

/// What one request was charged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Charged {
    /// Times that it was charged.
    pub(crate) times: usize,
    /// What it was charged, less what was given back, in 1e-9.
    pub(crate) net: i64,
}

/// All movements, the oldest first.
#[derive(Debug)]
pub(crate) struct Books {
    pub(crate) entries: Vec<Entry>,
}

impl Books {
    /// Reads all pages with a key that sees the whole tenant.
    pub(crate) async fn read(client: &reqwest::Client, base: &str, key: &str) -> Self {
        let mut pages: Vec<Value> = Vec::new();
        let mut cursor = String::new();
        loop {
            let url = format!("{base}/v1/ledger?limit={PAGE}&cursor={cursor}");
            let response = client.get(url).header("x-api-key", key).send().await.expect("the ledger answers");
            let status = response.status();
            let body = response.bytes().await.expect("the ledger answers to its end");
            assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
            let mut page: Value = serde_json::from_slice(&body).expect("JSON");
            pages.append(page["data"].as_array_mut().expect("a list"));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        pages.reverse();
        Self::checked(&pages)
    }

    fn checked(objects: &[Value]) -> Self {
        let mut balance = 0;
        let entries = objects.iter().map(|object| {
            let text = |name: &str| object[name].as_str().map(str::to_owned);
            let amount = nanos(&object["amount"]);
            balance += amount;
            assert_eq!(nanos(&object["balance"]), balance, "each balance is the one before and the amount: {object}");
            Entry {
                kind: text("type").expect("a type"),
                amount,
                request_id: text("request_id"),
                reference: text("reference"),
            }
        });
        Self { entries: entries.collect() }
    }

    /// What was topped up, in 1e-9.
    pub(crate) fn topped_up(&self) -> i64 {
        self.entries.iter().filter(|entry| entry.kind == "top_up").map(|entry| entry.amount).sum()
    }

    /// What was charged and not given back, in 1e-9.
    pub(crate) fn charged(&self) -> i64 {
        -self.entries.iter().filter(|entry| entry.kind != "top_up").map(|entry| entry.amount).sum::<i64>()
    }

    /// What each request was charged.
    pub(crate) fn by_request(&self) -> HashMap<&str, Charged> {
        let mut requests: HashMap<&str, Charged> = HashMap::new();
        for entry in self.entries.iter().filter(|entry| entry.kind != "top_up") {
            let request_id = entry.request_id.as_deref().expect("a charge names its request");
            let charged = requests.entry(request_id).or_default();
            charged.times += usize::from(entry.kind == "capture");
            charged.net -= entry.amount;
        }
        requests
    }

    /// The references of all payments, in the order of their booking.
    pub(crate) fn references(&self) -> Vec<&str> {
        self.entries.iter().filter_map(|entry| entry.reference.as_deref()).collect()
    }
}
