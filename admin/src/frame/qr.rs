//! QR codes as inline SVG: dark on light in every theme, since that is what cameras read.

use std::fmt::{self, Display, Formatter};

use askama::filters::{Escaper, Html};
use qrcodegen::{QrCode, QrCodeEcc};

/// The light edge around a code, in its own squares.
const EDGE: i32 = 4;

/// A code with words for who cannot see it.
pub(crate) struct Qr {
    code: QrCode,
    label: &'static str,
}

impl Qr {
    /// The code of a text; `None` when it is too long for one.
    pub(crate) fn of(text: &str, label: &'static str) -> Option<Self> {
        QrCode::encode_text(text, QrCodeEcc::Medium).ok().map(|code| Self { code, label })
    }
}

impl askama::filters::HtmlSafe for Qr {}

impl Display for Qr {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let size = self.code.size();
        let side = size + 2 * EDGE;
        write!(formatter, r#"<svg class="qr" viewBox="0 0 {side} {side}" role="img" aria-label=""#)?;
        Html.write_escaped_str(&mut *formatter, self.label)?;
        write!(formatter, r##""><rect width="{side}" height="{side}" fill="#fff"/><path fill="#000" d=""##)?;
        for y in 0..size {
            for x in (0..size).filter(|x| self.code.get_module(*x, y)) {
                write!(formatter, "M{} {}h1v1h-1z", x + EDGE, y + EDGE)?;
            }
        }
        formatter.write_str(r#""/></svg>"#)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_drawn_within_its_edge() {
        let svg = Qr::of("otpauth://totp/xiaoyi:a%40b?secret=AAAA", "<code>").unwrap().to_string();
        assert!(svg.contains("M4 4h1v1h-1z"), "the corner is dark: {svg}");
        assert!(!svg.contains("M3 ") && !svg.contains("<code>"), "{svg}");
        assert!(Qr::of(&"x".repeat(5_000), "").is_none());
    }
}
