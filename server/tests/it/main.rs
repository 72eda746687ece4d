//! The real program, from outside: its commands, its listeners, its data folder.

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod beside_load;
#[cfg(test)]
mod billing;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod exact_balance;
#[cfg(test)]
mod providers;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod streaming;
#[cfg(test)]
mod support;
#[cfg(test)]
mod upstream_failures;
#[cfg(test)]
mod secrets;
