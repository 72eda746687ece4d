//! The tenants' books as their developers read them over HTTP.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::stack::Stack;

/// Entries of one page.
const PAGE: usize = 1000;
/// How often balances are looked at while holds are awaited to end.
const GLANCE: Duration = Duration::from_millis(250);
/// How long one reply may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// One movement of a balance. Amounts are in 1e-9.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) kind: String,
    /// Negative when it was taken away.
    pub(super) amount: i64,
    /// Afterwards.
    pub(super) balance: i64,
    pub(super) request_id: Option<String>,
    pub(super) charge: Option<Charge>,
}

/// The arithmetic of a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Charge {
    /// `user` of the request: the marker.
    pub(super) marker: String,
    pub(super) completion_tokens: i64,
    /// What its components come to, less what was written off, by arithmetic of our own.
    pub(super) reckoned: i64,
}

/// All of one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Books {
    pub(super) topped_up: i64,
    pub(super) posted: i64,
    pub(super) held: i64,
    /// The oldest first.
    pub(super) entries: Vec<Entry>,
}

/// Waits until no tenant has money held: how long that took, or `None` when it took too long.
pub(super) async fn until_nothing_is_held(stack: &Stack, limit: Duration) -> Result<Option<Duration>> {
    let client = super::client::new()?;
    let begun = Instant::now();
    loop {
        let held = all_that_is_held(&client, stack).await;
        match held {
            Ok(0) => return Ok(Some(begun.elapsed())),
            Ok(_) if begun.elapsed() > limit => return Ok(None),
            Err(error) if begun.elapsed() > limit => return Err(error),
            _ => {}
        }
        tokio::time::sleep(GLANCE).await;
    }
}

async fn all_that_is_held(client: &reqwest::Client, stack: &Stack) -> Result<i64> {
    let mut held = 0;
    for tenant in &stack.tenants {
        held += nanos_of(&get(client, &stack.bases[0], "/v1/balance", &tenant.key).await?["held"])?;
    }
    Ok(held)
}

/// Reads everything of every tenant.
pub(super) async fn read(stack: &Stack) -> Result<Vec<Books>> {
    let client = super::client::new()?;
    let mut all = Vec::new();
    for tenant in &stack.tenants {
        let balance = get(&client, &stack.bases[0], "/v1/balance", &tenant.key).await?;
        let (mut entries, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/ledger?limit={PAGE}&cursor={cursor}");
            let page = get(&client, &stack.bases[0], &path, &tenant.key).await?;
            for object in page["data"].as_array().context("the ledger is no list")? {
                entries.push(entry(object).with_context(|| format!("in {object}"))?);
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        entries.reverse();
        all.push(Books {
            topped_up: tenant.topped_up,
            posted: nanos_of(&balance["posted"])?,
            held: nanos_of(&balance["held"])?,
            entries,
        });
    }
    Ok(all)
}

async fn get(client: &reqwest::Client, base: &str, path: &str, key: &str) -> Result<Value> {
    let reply = client.get(format!("{base}{path}")).bearer_auth(key).timeout(PATIENCE).send().await?;
    let (status, body) = (reply.status(), reply.text().await?);
    ensure!(status == 200, "GET {path}: {status}: {body}");
    serde_json::from_str(&body).with_context(|| format!("GET {path}: {body}"))
}

fn entry(object: &Value) -> Result<Entry> {
    let charge = &object["charge"];
    Ok(Entry {
        kind: object["type"].as_str().context("no type")?.to_owned(),
        amount: nanos_of(&object["amount"])?,
        balance: nanos_of(&object["balance"])?,
        request_id: object["request_id"].as_str().map(str::to_owned),
        charge: if charge.is_null() { None } else { Some(self::charge(charge)?) },
    })
}

fn charge(charge: &Value) -> Result<Charge> {
    let mut reckoned = -nanos_of(&charge["written_off"])?;
    for component in [&charge["prompt"], &charge["completion"]] {
        let tokens = component["tokens"].as_i64().context("no tokens")?;
        let millionths = i128::from(tokens) * i128::from(nanos_of(&component["price_per_million"])?);
        reckoned += i64::try_from((millionths + 999_999) / 1_000_000)?;
    }
    Ok(Charge {
        marker: charge["user"].as_str().unwrap_or_default().to_owned(),
        completion_tokens: charge["completion"]["tokens"].as_i64().context("no tokens")?,
        reckoned,
    })
}

fn nanos_of(value: &Value) -> Result<i64> {
    nanos(value.as_str().with_context(|| format!("{value} is no amount"))?)
}

/// The 1e-9 of an amount such as `-0.00012`.
pub(super) fn nanos(text: &str) -> Result<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || fraction.len() > 9 || !is_number(whole) || !is_number(fraction) {
        bail!("{text:?} is no amount");
    }
    Ok(sign * format!("{whole}{fraction:0<9}").parse::<i64>()?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn amounts_are_read_exactly() {
        for (text, value) in [("0.00", 0), ("-1.5", -1_500_000_000), ("0.000000001", 1), ("12", 12_000_000_000)] {
            assert_eq!(nanos(text).unwrap(), value, "{text}");
        }
        for text in ["", "-", "1.0000000001", "+1", "1e3", ".5", "x"] {
            assert!(nanos(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_entry_is_read_with_its_arithmetic() {
        let part = |tokens| json!({"tokens": tokens, "price_per_million": "10.00"});
        let charge = json!({"user": "mark-1", "prompt": part(3), "completion": part(4), "written_off": "0.00001"});
        let entry = entry(&json!({"type": "capture", "amount": "-0.00006", "balance": "1.00", "request_id": "r",
            "charge": charge}));
        let charge = Charge { marker: "mark-1".to_owned(), completion_tokens: 4, reckoned: 60_000 };
        let expected = Entry {
            kind: "capture".to_owned(),
            amount: -60_000,
            balance: 1_000_000_000,
            request_id: Some("r".to_owned()),
            charge: Some(charge),
        };
        assert_eq!(entry.unwrap(), expected);
    }
}
