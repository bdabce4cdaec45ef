//! Lays the firmware out in memory, and turns `DUSTDEVIL_IP` and `DUSTDEVIL_GATEWAY` into a
//! constant: the file `addressing.rs`, which the library includes.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::{env, fs, io};

/// What happens on an interrupt whose driver is not part of the firmware.
const OPTIONAL_HANDLERS: &str =
    "PROVIDE(UART1 = DefaultHandler);\nPROVIDE(TIMER1A = DefaultHandler);\n";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=memory.x");
    println!("cargo::rerun-if-env-changed=DUSTDEVIL_IP");
    println!("cargo::rerun-if-env-changed=DUSTDEVIL_GATEWAY");
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    println!("cargo::rustc-link-search={}", out.display());
    fs::copy("memory.x", out.join("memory.x"))?;
    // cortex-m-rt's script includes what stands for a device's interrupts that have no handler.
    // Ours are in a table; only these have their handlers in firmware that wants them.
    fs::write(out.join("device.x"), OPTIONAL_HANDLERS)?;
    match addressing() {
        Ok(text) => fs::write(out.join("addressing.rs"), text),
        Err(text) => {
            println!("cargo::error={text}");
            Ok(())
        }
    }
}

/// The file's text, or what is wrong with the variables.
fn addressing() -> Result<String, String> {
    let ip = variable("DUSTDEVIL_IP");
    let gateway = variable("DUSTDEVIL_GATEWAY");
    match ip.as_deref() {
        None | Some("dhcp") => {
            if env::var_os("CARGO_FEATURE_DHCP").is_none() {
                return Err("there is no address: set DUSTDEVIL_IP, as in 192.0.2.2/24, or build \
                            with the feature `dhcp`"
                    .to_owned());
            }
            if gateway.is_some() {
                return Err("DUSTDEVIL_GATEWAY is set, but with DHCP the server names the gateway"
                    .to_owned());
            }
            Ok("const ADDRESSING: Addressing = Addressing::Dhcp;\n".to_owned())
        }
        Some(ip) => fixed(ip, gateway.as_deref()),
    }
}

fn fixed(ip: &str, gateway: Option<&str>) -> Result<String, String> {
    if env::var_os("CARGO_FEATURE_STATIC_IP").is_none() {
        return Err(format!(
            "DUSTDEVIL_IP is {ip}: build with --no-default-features --features static-ip, as \
             `cargo xtask firmware` does"
        ));
    }
    let (address, prefix) = parse(ip).ok_or_else(|| {
        format!("DUSTDEVIL_IP is `{ip}`: neither `dhcp` nor an address like 192.0.2.2/24")
    })?;
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
    let host = address.to_bits() & !mask;
    let is_network = prefix < 31 && (host == 0 || host == !mask);
    if address.is_unspecified() || address.is_loopback() || address.is_multicast() || is_network {
        return Err(format!("DUSTDEVIL_IP is {ip}: not the address of a host"));
    }
    let gateway = gateway.map(|text| {
        text.parse::<Ipv4Addr>()
            .ok()
            .filter(|at| *at != address && (at.to_bits() ^ address.to_bits()) & mask == 0)
            .ok_or_else(|| {
                format!("DUSTDEVIL_GATEWAY is `{text}`: not the address of another host of {ip}")
            })
    });
    let gateway = match gateway.transpose()? {
        Some(at) => format!("Some({})", constant(at)),
        None => "None".to_owned(),
    };
    Ok(format!(
        "const ADDRESSING: Addressing = Addressing::Static {{\n    address: {},\n    \
         prefix: {prefix},\n    gateway: {gateway},\n}};\n\
         /// The same, for the serial port of firmware without `core::fmt`.\n\
         #[cfg(not(feature = \"log-lines\"))]\n\
         const ADDRESS_TEXT: &str = \"{address}\";\n",
        constant(address),
    ))
}

fn parse(ip: &str) -> Option<(Ipv4Addr, u8)> {
    let (address, prefix) = ip.split_once('/')?;
    Some((address.parse().ok()?, prefix.parse().ok().filter(|prefix| *prefix <= 32)?))
}

fn constant(at: Ipv4Addr) -> String {
    let [a, b, c, d] = at.octets();
    format!("Ipv4Addr::new({a}, {b}, {c}, {d})")
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|text| !text.is_empty())
}
