//! The real program, from outside: its commands, its listeners, its data folder.

#[cfg(test)]
mod commands;
#[cfg(test)]
mod support;
