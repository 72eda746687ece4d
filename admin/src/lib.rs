//! The pages for people: the operators' panel and the developers' console. Rendered on the server, without a script.

mod console;
mod language;
mod method;
mod page;
mod panel;

pub use console::console;
pub use panel::panel;
