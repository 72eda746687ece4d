//! The domain and storage of xiaoyi: money, keys, the ledger, the queue, and admission. It knows nothing of HTTP.

pub mod admission;
pub mod billing;
pub mod catalogue;
pub mod clock;
pub mod config;
pub mod db;
pub mod deployment;
pub mod epoch;
mod facts;
pub mod health;
pub mod id;
pub mod installation;
pub mod json_object;
pub mod key;
pub mod keyring;
pub mod ledger;
pub mod limits;
pub mod money;
pub mod price;
pub mod queue;
pub mod redis_store;
pub mod refusal;
pub mod seal;
pub mod secret_key;
pub mod tenant;
pub mod tokens;
pub mod values;
