//! What tests and trials stand on: real servers on free ports in temporary folders.
//!
//! Everything that is started here ends with the process that started it, also when that is killed, and its folder is removed.

mod authenticator;
mod background;
mod error;
mod folder;
mod keeper;
mod pair;
mod passwd;
mod port;
mod postgres;
mod process;
mod provider;
mod proxy;
mod redis;
mod resp;
mod shared;

pub use authenticator::{CODE_LASTS_MS, authenticator_code};
pub use error::Error;
pub use folder::Folder;
pub use keeper::mortal;
pub use pair::Pair;
pub use port::free_port;
pub use postgres::Postgres;
pub use process::{Process, Signal};
pub use provider::{Call, Failure, Provider, ProviderSettings, Record};
pub use proxy::Proxy;
pub use redis::Redis;
pub use shared::{shared_postgres, shared_redis};
