//! The panel and the console as people use them: in Chromium, against the real program, in both languages, with scripts and without.

mod checks;
mod chromium;
mod harness;
#[expect(dead_code, reason = "the journeys that take all its steps come with the pages")]
mod window;
