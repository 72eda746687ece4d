//! One file for each action.

pub(crate) mod balance;
pub(crate) mod billing_usage;
pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod credit_grants;
pub(crate) mod embeddings;
pub(crate) mod health;
pub(crate) mod images;
pub(crate) mod ledger;
pub(crate) mod models;
pub(crate) mod moderations;
pub(crate) mod openapi;
pub(crate) mod subscription;
pub(crate) mod unknown;
pub(crate) mod usage;
