//! The pages for people: the operators' panel and the developers' console. Rendered on the server; scripts are for comfort only.

mod console;
mod frame;
mod panel;

pub use console::console;
pub use frame::guard::HEADERS;
pub use panel::{Answered, AskChannel, ChannelAnswer, panel};
