//! The panel and the console as people use them: in Chromium, against the real program, in both languages, with scripts and without.

mod asides;
mod authenticator;
mod checks;
mod chromium;
mod codes;
mod copying;
mod described;
mod developer;
mod every_page;
mod first_day;
mod harness;
mod hostile;
mod keyboard;
mod live;
pub(crate) mod operator;
mod pictures;
mod reversal;
mod shut_out;
mod tables;
mod twice;
mod window;
