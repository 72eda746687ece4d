//! How pages look to whoever asks for them: their language and their colours.

use actix_web::{HttpMessage, HttpRequest};
use shared::staff::Theme;

use super::language::Language;

/// Language and colours of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Looks {
    pub(crate) language: Language,
    pub(crate) theme: Theme,
}

impl Looks {
    /// What the person of the request's session has chosen, if that was read; else what the browser wants.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        Self::chosen(request).unwrap_or_else(|| Self { language: Language::of(request), theme: Theme::Auto })
    }

    /// What the person of the request's session has chosen, if that was read.
    pub(crate) fn chosen(request: &HttpRequest) -> Option<Self> {
        request.extensions().get::<Self>().copied()
    }

    /// The colours as a page says them: `light`, `dark`, or nothing: as the browser prefers.
    pub(crate) const fn colours(self) -> &'static str {
        match self.theme {
            Theme::Auto => "",
            Theme::Light | Theme::Dark => self.theme.as_str(),
        }
    }

    /// Remembers what the person has chosen, for all that is still to be shown of this request.
    pub(crate) fn remember(self, request: &HttpRequest) {
        request.extensions_mut().insert(self);
    }
}
