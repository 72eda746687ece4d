//! The domain and storage of xiaoyi: money, keys, the ledger, the queue, and admission. It knows nothing of HTTP.

pub mod clock;
pub mod config;
pub mod db;
mod facts;
pub mod id;
pub mod ledger;
pub mod money;
pub mod price;
pub mod queue;
pub mod refusal;
pub mod seal;
pub mod secret_key;
pub mod tokens;
