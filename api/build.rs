//! Compresses what `/docs` sends, once and for all.

use std::error::Error;
use std::fs::{self, File};
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;

const FILES: [&str; 3] = ["swagger-ui-bundle.js", "swagger-ui.css", "docs.js"];

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    for name in FILES {
        let path = format!("assets/{name}");
        println!("cargo::rerun-if-changed={path}");
        let mut encoder = GzEncoder::new(File::create(out.join(format!("{name}.gz")))?, Compression::best());
        std::io::copy(&mut fs::File::open(path)?, &mut encoder)?;
        encoder.finish()?;
    }
    Ok(())
}
