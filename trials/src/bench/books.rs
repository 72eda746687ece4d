//! What the service says about its customer's money, and whether that agrees with what the customer saw. All amounts are in 1e-9 of the
//! currency.

use anyhow::{Context, ensure};
use serde_json::Value;

/// The customer's books at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Books {
    /// Requests that were charged.
    pub(super) charges: u64,
    /// What they were charged.
    charged: i128,
    posted: i128,
    pub(super) held: i128,
}

impl Books {
    /// Reads them with a key that sees all of its tenant.
    pub(super) async fn read(client: &reqwest::Client, base: &str, key: &str) -> anyhow::Result<Self> {
        let get = async |path: &str| -> anyhow::Result<Value> {
            let reply = client.get(format!("{base}{path}")).bearer_auth(key).send().await?;
            let (status, text) = (reply.status(), reply.text().await?);
            ensure!(status.is_success(), "GET {path}: {status} {text}");
            serde_json::from_str(&text).with_context(|| format!("GET {path}"))
        };
        Self::of(&get("/v1/balance").await?, &get("/v1/usage?group_by=model").await?)
    }

    fn of(balance: &Value, usage: &Value) -> anyhow::Result<Self> {
        let groups = usage["data"].as_array().context("usage without data")?;
        let mut books =
            Self { charges: 0, charged: 0, posted: nanos(&balance["posted"])?, held: nanos(&balance["held"])? };
        for group in groups {
            books.charges += group["requests"].as_u64().context("a group without requests")?;
            books.charged += nanos(&group["amount"])?;
        }
        Ok(books)
    }

    /// What each request between two moments cost, when there was one.
    pub(super) fn price_since(self, before: Self) -> anyhow::Result<i128> {
        ensure!(self.charges == before.charges + 1, "one answer, but {} charges", self.charges - before.charges);
        let price = before.posted - self.posted;
        ensure!(price > 0, "an answer that cost nothing: {self:?}");
        Ok(price)
    }

    /// Checks a run: every answer was charged once, and nothing else but what was under way when wrk closed its connections; each at
    /// the same price; and nothing is held. Gives how many were charged whose answers wrk did not wait for.
    pub(super) fn check_run(self, before: Self, answered: u64, connections: u32, price: i128) -> anyhow::Result<u64> {
        let charges = self.charges.saturating_sub(before.charges);
        ensure!(charges >= answered, "{answered} answers, but only {charges} charges");
        let unheard = charges - answered;
        ensure!(
            unheard <= connections.into(),
            "{answered} answers on {connections} connections, but {charges} charges"
        );
        let expected = price * i128::from(charges);
        let (charged, left) = (self.charged - before.charged, before.posted - self.posted);
        ensure!(charged == expected, "{charges} charges of {price} should be {expected}, and are {charged}");
        ensure!(left == expected, "{charges} charges of {price} should take {expected}, and took {left}");
        ensure!(self.held == 0, "{} are still held", self.held);
        Ok(unheard)
    }
}

/// An amount as the API writes it.
fn nanos(amount: &Value) -> anyhow::Result<i128> {
    let text = amount.as_str().with_context(|| format!("no amount: {amount}"))?;
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    ensure!(fraction.len() <= 9, "an amount with too many places: {text}");
    let number = format!("{whole}{fraction:0<9}");
    Ok(sign * number.parse::<i128>().with_context(|| format!("no amount: {text}"))?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const BEFORE: Books = Books { charges: 10, charged: 50, posted: 1_000, held: 0 };

    #[test]
    fn amounts_are_exact() {
        for (text, expected) in [("1.000000001", 1_000_000_001), ("0.5", 500_000_000), ("-2", -2_000_000_000)] {
            assert_eq!(nanos(&json!(text)).unwrap(), expected, "{text}");
        }
        for bad in [json!(1.5), json!("1.0000000001"), json!("x"), json!("1e5")] {
            nanos(&bad).unwrap_err();
        }
    }

    #[test]
    fn books_are_read_from_the_replies() {
        let balance = json!({"posted": "0.000001000", "held": "0.000000000"});
        let usage = json!({"data": [{"requests": 4, "amount": "0.00000002"}, {"requests": 6, "amount": "0.00000003"}]});
        assert_eq!(Books::of(&balance, &usage).unwrap(), BEFORE);
    }

    #[test]
    fn a_run_adds_up() {
        let after = |charges, charged, posted, held| Books { charges, charged, posted, held };
        // Three at 5 each.
        let good = after(13, 65, 985, 0);
        assert_eq!(good.check_run(BEFORE, 3, 4, 5).unwrap(), 0);
        assert_eq!(good.check_run(BEFORE, 2, 4, 5).unwrap(), 1, "one was under way when wrk ended");
        good.check_run(BEFORE, 4, 4, 5).expect_err("an answer without a charge");
        after(20, 100, 950, 0).check_run(BEFORE, 3, 4, 5).expect_err("more charges than connections explain");
        after(13, 65, 980, 0).check_run(BEFORE, 3, 4, 5).expect_err("money gone without a charge");
        after(13, 66, 984, 0).check_run(BEFORE, 3, 4, 5).expect_err("another price");
        after(13, 65, 985, 5).check_run(BEFORE, 3, 4, 5).expect_err("a hold that stays");
    }

    #[test]
    fn the_price_is_that_of_one_call() {
        assert_eq!(Books { charges: 11, charged: 55, posted: 995, held: 0 }.price_since(BEFORE).unwrap(), 5);
        Books { charges: 12, charged: 60, posted: 990, held: 0 }.price_since(BEFORE).unwrap_err();
        Books { charges: 11, charged: 50, posted: 1_000, held: 0 }.price_since(BEFORE).unwrap_err();
    }
}
