//! What is summed of charges.

use crate::db::DbError;

/// What a charge `c` bills, column by column.
macro_rules! billed {
    (prompt_tokens) => {
        "CASE WHEN c.endpoint = 'images' THEN 0 WHEN c.basis = 'upstream' THEN COALESCE(c.upstream_prompt, 0) ELSE c.prompt_tokens END"
    };
    (completion_tokens) => {
        "CASE c.basis WHEN 'upstream' THEN COALESCE(c.upstream_completion, 0) ELSE c.completion_tokens END"
    };
    (amount) => {
        "c.prompt_cost + c.completion_cost + c.image_cost - c.written_off"
    };
}
pub(crate) use billed;

/// Sums of charges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sums {
    pub(crate) requests: i64,
    pub(crate) prompt_tokens: i64,
    pub(crate) completion_tokens: i64,
    pub(crate) images: i64,
    /// What was paid, in 1e-9 of the currency.
    pub(crate) amount: i64,
}

impl Sums {
    /// Adds others to these.
    pub(crate) fn add(&mut self, other: &Self) -> Result<(), DbError> {
        let sum = |one: i64, other: i64| one.checked_add(other).ok_or_else(out_of_range);
        *self = Self {
            requests: sum(self.requests, other.requests)?,
            prompt_tokens: sum(self.prompt_tokens, other.prompt_tokens)?,
            completion_tokens: sum(self.completion_tokens, other.completion_tokens)?,
            images: sum(self.images, other.images)?,
            amount: sum(self.amount, other.amount)?,
        };
        Ok(())
    }

    /// The same, to be taken out.
    pub(crate) const fn negative(&self) -> Self {
        Self {
            requests: -self.requests,
            prompt_tokens: -self.prompt_tokens,
            completion_tokens: -self.completion_tokens,
            images: -self.images,
            amount: -self.amount,
        }
    }
}

/// The sums, or the times, are none that this program writes.
pub(super) fn out_of_range() -> DbError {
    DbError::Corrupt("usage out of range".to_owned())
}
