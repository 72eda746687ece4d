//! What a form carries so that it does its work once: the id of what it will make, or an id of its own, given when the form was rendered. The
//! second of two equal forms finds the id taken.

use shared::clock::Timestamp;
use shared::id::{RequestId, TransferId};

/// How long a form may be open, in milliseconds: 24 hours. Ids of transfers are in the order of time, and what watches the ledger relies on
/// that nearly; and what is remembered of a form that was sent is forgotten after an hour more (`shared::sent_forms`).
const LONGEST_MS: i64 = 24 * 3_600_000;
/// How far another process's clock may be ahead, in milliseconds.
const AHEAD_MS: i64 = 60_000;

/// The id of the transfer that a form will make; `None` when no form of ours has it, or the form is too old.
pub(crate) fn transfer(text: &str, now: Timestamp) -> Option<TransferId> {
    form(text, now)
}

/// The id of a form itself; `None` when no form of ours has it, or the form is too old.
pub(crate) fn form(text: &str, now: Timestamp) -> Option<RequestId> {
    let id: RequestId = text.parse().ok()?;
    let times = RequestId::floor(now.plus_ms(-LONGEST_MS))..RequestId::floor(now.plus_ms(AHEAD_MS));
    times.contains(&id).then_some(id)
}

#[cfg(test)]
mod tests {
    use shared::clock::Clock;

    use super::*;

    #[test]
    fn a_form_lasts_for_a_day() {
        let (id, now) = (TransferId::new(), Clock::System.now());
        let text = id.to_string();
        assert_eq!(transfer(&text, now), Some(id));
        assert_eq!(transfer(&text, now.plus_ms(LONGEST_MS - 60_000)), Some(id));
        assert_eq!(transfer(&text, now.plus_ms(LONGEST_MS + 60_000)), None, "too old");
        assert_eq!(transfer(&text, now.plus_ms(-AHEAD_MS - 60_000)), None, "from the future");
        for wrong in ["", "7", "ffffffff-ffff-ffff-ffff-ffffffffffff", "<script>"] {
            assert_eq!(transfer(wrong, now), None);
        }
    }
}
