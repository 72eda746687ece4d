//! A call that failed after it was let in, and what its caller is told: every such message says what was charged.

use crate::id::RequestId;
use crate::money::Amount;
use crate::refusal::{Reason, Refusal};

const NOTHING: &str = "nothing was charged";

/// Why a call ended without its answer, and what that cost.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What the caller is told.
    pub refusal: Refusal,
    /// What was charged for text that had reached the caller already. `None`: nothing, and the hold is released.
    pub charged: Option<Amount>,
}

impl Failure {
    /// The refusal with the state of the money in its message.
    pub fn told(self, currency: &str) -> Refusal {
        let Self { mut refusal, charged } = self;
        // The one error that makes no claim about money.
        if refusal.reason == Reason::OutcomeUnknown {
            return refusal;
        }
        let charged = charged.map(|amount| format!("{amount} {currency} were charged for the text above"));
        let says_nothing = refusal.message.contains(NOTHING);
        refusal.message = match charged {
            Some(charged) if says_nothing => refusal.message.replace(NOTHING, &charged),
            Some(charged) => format!("{}; {charged}", refusal.message),
            None if says_nothing => refusal.message,
            None => format!("{}; {NOTHING}", refusal.message),
        };
        refusal
    }
}

/// For a call whose end never came, which only a fault of ours explains.
pub fn without_an_end(request_id: RequestId) -> Refusal {
    let message = format!("an internal error; GET /v1/ledger shows request {request_id} if it was charged");
    Refusal::new(Reason::OutcomeUnknown, message)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing(Reason::UpstreamError, "no channel answered", None, "no channel answered; nothing was charged")]
    #[case::said_already(
        Reason::Timeout,
        "too late; nothing was charged, try again",
        None,
        "too late; nothing was charged, try again"
    )]
    #[case::something(
        Reason::UpstreamError,
        "it broke off",
        Some(120_000),
        "it broke off; 0.00012 CNY were charged for the text above"
    )]
    #[case::never_both(
        Reason::InternalError,
        "an internal error; nothing was charged; report it",
        Some(120_000),
        "an internal error; 0.00012 CNY were charged for the text above; report it"
    )]
    #[case::no_claim(Reason::OutcomeUnknown, "it is not known", None, "it is not known")]
    fn the_message_says_what_was_charged(
        #[case] reason: Reason,
        #[case] message: &str,
        #[case] charged: Option<i64>,
        #[case] expected: &str,
    ) {
        let failure = Failure { refusal: Refusal::new(reason, message), charged: charged.map(Amount::from_nanos) };
        assert_eq!(failure.told("CNY").message, expected);
    }
}
