//! A call that was not let in.

use crate::limits::{Allowances, LimitError};
use crate::refusal::Refusal;

/// Why a call was not let in, and what its key may still do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{refusal}")]
pub struct NotAdmitted {
    /// What the caller is told.
    pub refusal: Refusal,
    /// What is left of the key's limits; nothing when they were not asked.
    pub allowances: Allowances,
    /// The same call would be refused at any time.
    pub is_for_good: bool,
}

impl From<Refusal> for NotAdmitted {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, allowances: Allowances::default(), is_for_good: false }
    }
}

impl From<LimitError> for NotAdmitted {
    fn from(error: LimitError) -> Self {
        match error {
            LimitError::Exceeded(exceeded) => Self {
                refusal: Refusal::from(&exceeded),
                allowances: exceeded.allowances,
                is_for_good: !exceeded.passes_later(),
            },
            LimitError::Unavailable => Refusal::unavailable().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_cannot_be_asked_are_no_fault_of_the_caller() {
        let not_admitted = NotAdmitted::from(LimitError::Unavailable);
        assert_eq!(not_admitted.refusal, Refusal::unavailable());
        assert_eq!((not_admitted.refusal.reason.status(), not_admitted.refusal.retry_after_s), (503, Some(1)));
        assert!(not_admitted.allowances.is_empty() && !not_admitted.is_for_good);
    }
}
