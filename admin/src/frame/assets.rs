//! Stylesheet and scripts, inside the program. Their names hold a hash of what is in them, so a browser may keep them for ever.

use std::sync::LazyLock;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::Path;
use actix_web::{HttpResponse, Responder};

/// One file.
struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

const ASSETS: [Asset; 4] = [
    Asset { name: "style.css", kind: "text/css; charset=utf-8", bytes: include_bytes!("../../assets/style.css") },
    Asset { name: "icon.svg", kind: "image/svg+xml", bytes: include_bytes!("../../assets/icon.svg") },
    Asset { name: "app.js", kind: "text/javascript; charset=utf-8", bytes: include_bytes!("../../assets/app.js") },
    // htmx 2 (https://htmx.org), under the Zero-Clause BSD licence that stands beside it.
    Asset {
        name: "htmx.js",
        kind: "text/javascript; charset=utf-8",
        bytes: include_bytes!("../../assets/htmx.min.js"),
    },
];

static NAMES: LazyLock<[String; 4]> = LazyLock::new(|| {
    ASSETS.each_ref().map(|asset| {
        let hash = blake3::hash(asset.bytes).to_hex();
        let (stem, ending) = asset.name.rsplit_once('.').unwrap_or((asset.name, ""));
        format!("{stem}-{}.{ending}", &hash[..12])
    })
});

/// The path of an asset below a side's root, such as `/assets/style-0123456789ab.css`.
pub(crate) fn path(root: &str, name: &str) -> String {
    let hashed = ASSETS.iter().position(|asset| asset.name == name).and_then(|at| NAMES.get(at));
    format!("{root}/assets/{}", hashed.map_or(name, String::as_str))
}

/// Sends an asset.
pub(crate) async fn send(name: Path<String>) -> impl Responder {
    match NAMES.iter().position(|hashed| *hashed == *name).and_then(|at| ASSETS.get(at)) {
        Some(asset) => HttpResponse::Ok()
            .content_type(asset.kind)
            .insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable"))
            .body(asset.bytes),
        None => HttpResponse::NotFound().insert_header((CACHE_CONTROL, "no-store")).finish(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_holds_a_hash_of_the_file() {
        let path = path("/console", "style.css");
        let hash = blake3::hash(include_bytes!("../../assets/style.css")).to_hex();
        assert_eq!(path, format!("/console/assets/style-{}.css", &hash[..12]));
    }
}
