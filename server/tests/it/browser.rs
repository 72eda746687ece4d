//! The panel and the console as people use them: in Chromium, against the real program, in both languages, with scripts and without.

mod checks;
mod chromium;
mod developer;
mod every_page;
mod first_day;
mod harness;
mod hostile;
mod keyboard;
mod live;
pub(crate) mod operator;
mod pictures;
mod twice;
mod window;
