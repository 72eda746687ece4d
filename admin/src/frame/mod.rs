//! What all pages share: how they are guarded, rendered and sent, and how what people type comes back.

pub(crate) mod address;
pub(crate) mod arithmetic;
pub(crate) mod assets;
pub(crate) mod chart;
pub(crate) mod cookie;
pub(crate) mod csv;
pub(crate) mod failure;
pub(crate) mod format;
pub(crate) mod guard;
pub(crate) mod language;
pub(crate) mod looks;
pub(crate) mod moment;
pub(crate) mod navigation;
pub(crate) mod once;
pub(crate) mod own_path;
pub(crate) mod page;
pub(crate) mod paging;
pub(crate) mod posted;
pub(crate) mod qr;
pub(crate) mod refuse;
pub(crate) mod side;
pub(crate) mod words;
pub(crate) mod wrongs;
