//! Compresses the page's files and writes them down as `static` assets, named by their hash.
//!
//! The same files give the same bytes everywhere: no time, no path and no system is part of them.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::{env, fs};

use flate2::{Compression, write::GzEncoder};

/// What is served where: path, file, media type, and fields beside those that every asset has.
const FILES: &[(&str, &str, &str, &str)] = &[
    ("/", "index.html", "text/html; charset=utf-8", PAGE_FIELDS),
    ("/style.css", "style.css", "text/css; charset=utf-8", ""),
    ("/app.js", "app.js", "text/javascript; charset=utf-8", ""),
    ("/icon.svg", "icon.svg", "image/svg+xml", ""),
];

/// The page loads nothing but its own files, and no other page may put it into a frame.
const PAGE_FIELDS: &str = r#"
            ("Content-Security-Policy", b"default-src 'self'; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'"),
            ("Referrer-Policy", b"no-referrer"),"#;

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=web");
    let out = env::var_os("OUT_DIR").expect("cargo sets it");
    let out = Path::new(&out);
    let mut code = String::from(
        "/// The page's files by their paths, compressed and hashed when this was built.\n\
         pub static ASSETS: &[(&str, Asset)] = &[\n",
    );
    for &(path, file, content_type, fields) in FILES {
        let plain = fs::read(Path::new("web").join(file))?;
        let gzip = gzip(&plain)?;
        fs::write(out.join(format!("{file}.gz")), &gzip)?;
        let plain = variant(&plain, &format!("/web/{file}"), "CARGO_MANIFEST_DIR", fields);
        let encoded = format!("{fields}\n            (\"Content-Encoding\", b\"gzip\"),");
        let gzip = variant(&gzip, &format!("/{file}.gz"), "OUT_DIR", &encoded);
        writeln!(
            code,
            "    ({path:?}, Asset {{\n        \
             content_type: MediaType::new({content_type:?}),\n        \
             plain: {plain},\n        gzip: {gzip},\n    }}),"
        )
        .expect("a string takes all");
    }
    code.push_str("];\n");
    fs::write(out.join("assets.rs"), code)
}

fn gzip(plain: &[u8]) -> io::Result<Vec<u8>> {
    // An encoder of its own writes neither a time nor a name, and `unknown` for the system.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain)?;
    encoder.finish()
}

/// The code of one encoding whose bytes lie at `path` in the folder that `folder` names.
fn variant(bytes: &[u8], path: &str, folder: &str, fields: &str) -> String {
    let etag = format!("\\\"{:016x}\\\"", fnv1a(bytes));
    format!(
        r#"Variant {{
            etag: "{etag}",
            fields: &[
            ("ETag", b"{etag}"),
            ("Cache-Control", b"no-cache"),
            ("Vary", b"Accept-Encoding"),
            ("X-Content-Type-Options", b"nosniff"),{fields}
            ],
            body: include_bytes!(concat!(env!("{folder}"), "{path}")),
        }}"#
    )
}

/// FNV-1a, 64 bits: tells apart the versions of one file, which nobody forges.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
