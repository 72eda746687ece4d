//! The developers' console: who gets in, what is shown to whom, and what its forms do.

mod calls;
mod keys;
mod playground;
mod redeem;
mod routes;
mod sessions;
mod usage;
