//! Lays the firmware out in memory: cortex-m-rt's linker script, which includes `memory.x`.

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=memory.x");
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    println!("cargo::rustc-link-search={}", out.display());
    // The handlers of interrupts are in a table; none needs another name.
    fs::write(out.join("device.x"), "")?;
    fs::copy("memory.x", out.join("memory.x")).map(drop)
}
