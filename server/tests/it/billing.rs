//! What calls cost: usage, charges, balances and the records of them, recomputed by the tests from the rules and from the records' own
//! fields.

mod estimates;
mod original_rules;
mod prices;
mod records;
mod refusals;
mod views;
