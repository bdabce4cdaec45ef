//! Builds firmware: an example, for a board, with an address.
//!
//! Firmware of one name is built again and again with other addresses, and cargo keeps the last one
//! only; each build here is copied to a name of its own, under a lock that other processes respect.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cargo::{self, Build};

/// The profile of firmware in the workspace's Cargo.toml.
pub const PROFILE: &str = "firmware";

/// The instruction set of the LM3S6965: Cortex-M3.
const THUMBV7M: &str = "thumbv7m-none-eabi";

/// The binary that needs the boards' feature `udp`.
const UDP_CHECK: &str = "udp-check";

/// How firmware gets its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A DHCP server leases it.
    Dhcp,
    /// It is fixed when the firmware is built.
    Static {
        /// The address and the bits of its network: `192.0.2.2/24`.
        ip: String,
        /// Where other networks lie; None: nowhere.
        gateway: Option<String>,
    },
}

impl Address {
    /// The address that QEMU's own network gives to its only guest.
    pub fn of_user_network() -> Self {
        Self::fixed("10.0.2.15/24", Some("10.0.2.2"))
    }

    /// A fixed address.
    pub fn fixed(ip: &str, gateway: Option<&str>) -> Self {
        Self::Static { ip: ip.to_owned(), gateway: gateway.map(str::to_owned) }
    }

    /// What `DUSTDEVIL_IP` and `DUSTDEVIL_GATEWAY` say; None without the former.
    ///
    /// # Errors
    /// `DUSTDEVIL_IP` is neither `dhcp` nor an address and the bits of its network.
    pub fn of_environment() -> Result<Option<Self>> {
        let Ok(ip) = std::env::var("DUSTDEVIL_IP") else { return Ok(None) };
        Self::parse(&ip, std::env::var("DUSTDEVIL_GATEWAY").ok().as_deref()).map(Some)
    }

    fn parse(ip: &str, gateway: Option<&str>) -> Result<Self> {
        if ip == "dhcp" {
            return Ok(Self::Dhcp);
        }
        let is_ip = |text: &str| text.parse::<std::net::Ipv4Addr>().is_ok();
        let is_prefix = |text: &str| text.parse::<u8>().is_ok_and(|bits| bits <= 32);
        let fits = ip.split_once('/').is_some_and(|(ip, bits)| is_ip(ip) && is_prefix(bits));
        if !fits {
            bail!("DUSTDEVIL_IP is `{ip}`: neither `dhcp` nor like `192.0.2.2/24`");
        }
        if let Some(gateway) = gateway.filter(|gateway| !is_ip(gateway)) {
            bail!("DUSTDEVIL_GATEWAY is `{gateway}`: not like `192.0.2.1`");
        }
        Ok(Self::fixed(ip, gateway))
    }

    /// The board packages' feature for it.
    pub fn feature(&self) -> &'static str {
        match self {
            Self::Dhcp => "dhcp",
            Self::Static { .. } => "static-ip",
        }
    }

    /// For a file's name: `dhcp`, `192.0.2.2-24`.
    fn name(&self) -> String {
        match self {
            Self::Dhcp => "dhcp".to_owned(),
            Self::Static { ip, gateway } => {
                let gateway = gateway.as_deref().unwrap_or("none");
                format!("{}-{gateway}", ip.replace('/', "-"))
            }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dhcp => f.write_str("by DHCP"),
            Self::Static { ip, gateway: None } => f.write_str(ip),
            Self::Static { ip, gateway: Some(gateway) } => write!(f, "{ip} behind {gateway}"),
        }
    }
}

/// What is built.
#[derive(Clone, Debug)]
pub struct Firmware<'a> {
    /// The board's package: `lm3s6965evb`.
    pub board: &'a str,
    /// The board's instruction set, as rustc calls it.
    pub target: &'a str,
    /// The binary of that package: `hello`.
    pub bin: &'a str,
    /// How it gets its address; None for firmware that has none, built with default features.
    pub address: Option<&'a Address>,
    /// Further variables that the build reads, each of which must tell builds apart.
    pub environment: &'a [(&'a str, &'a str)],
}

/// Builds a binary of the LM3S6965EVB and returns where its ELF file lies.
///
/// # Errors
/// As [`Firmware::build`].
pub fn lm3s6965evb(bin: &str, address: &Address) -> Result<PathBuf> {
    let board = Firmware {
        board: "lm3s6965evb",
        target: THUMBV7M,
        bin,
        address: Some(address),
        environment: &[],
    };
    board.build()
}

impl Firmware<'_> {
    /// Builds it and returns where its ELF file lies: a file that no other build overwrites.
    ///
    /// # Errors
    /// It does not build; cargo has printed why.
    pub fn build(&self) -> Result<PathBuf> {
        keep(&self.name(), || self.cargo())
    }

    fn cargo(&self) -> Result<PathBuf> {
        let mut words = vec!["--profile", PROFILE, "--target", self.target];
        words.extend(["-p", self.board, "--bin", self.bin]);
        if let Some(address @ Address::Static { .. }) = self.address {
            words.extend(["--no-default-features", "--features", address.feature()]);
        }
        if self.bin == UDP_CHECK {
            words.extend(["--features", "udp"]);
        }
        let (ip, gateway) = match self.address {
            Some(Address::Static { ip, gateway }) => (Some(ip.as_str()), gateway.as_deref()),
            _ => (None, None),
        };
        let mut build = Build::new(words);
        build = build.env("DUSTDEVIL_IP", ip).env("DUSTDEVIL_GATEWAY", gateway);
        build = build.env("CARGO_ENCODED_RUSTFLAGS", Some(&rust_flags()?));
        for (name, value) in self.environment {
            build = build.env(name, Some(value));
        }
        build.file_of(self.bin)
    }

    fn name(&self) -> String {
        let mut name = format!("{}-{}", self.board, self.bin);
        if let Some(address) = self.address {
            name = format!("{name}-{}", address.name());
        }
        with_environment(name, self.environment)
    }
}

/// Another server's firmware for the LM3S6965EVB, from the package `ci/bench/board`: a workspace of
/// its own, so that nobody depends on what it depends on.
#[derive(Clone, Debug)]
pub struct Peer<'a> {
    /// The binary, which has a feature of the same name.
    pub bin: &'a str,
    /// Variables that the build reads, each of which must tell builds apart.
    pub environment: &'a [(&'a str, &'a str)],
}

impl Peer<'_> {
    /// Where the package lies, from the root.
    pub const FOLDER: &'static str = "ci/bench/board";

    /// Builds it and returns where its ELF file lies: a file that no other build overwrites.
    ///
    /// # Errors
    /// It does not build; cargo has printed why.
    pub fn build(&self) -> Result<PathBuf> {
        let name = with_environment(format!("peer-{}", self.bin), self.environment);
        keep(&name, || {
            let manifest = format!("{}/Cargo.toml", Self::FOLDER);
            let folder = cargo::target_folder().join("board-peers").display().to_string();
            let words = ["--release", "--target", THUMBV7M, "--manifest-path", &manifest];
            let more = ["--target-dir", &folder, "--features", self.bin, "--bin", self.bin];
            let mut build = Build::new(words.iter().chain(&more));
            build = build.env("CARGO_ENCODED_RUSTFLAGS", Some(&rust_flags()?));
            for (name, value) in self.environment {
                build = build.env(name, Some(value));
            }
            build.file_of(self.bin)
        })
    }
}

/// Builds an ELF file and copies it to where no other build overwrites it.
fn keep(name: &str, build: impl FnOnce() -> Result<PathBuf>) -> Result<PathBuf> {
    let folder = cargo::target_folder().join("boards");
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    // Until the copy is made, no other build may replace what cargo made.
    let lock = File::create(folder.join("lock")).context("make the lock of builds")?;
    lock.lock().context("wait for another build")?;
    let built = build()?;
    let file = folder.join(name);
    let new = folder.join("new");
    // Renamed into place: a machine that boots the former one is not disturbed.
    fs::copy(&built, &new).with_context(|| format!("copy {}", built.display()))?;
    fs::rename(&new, &file).with_context(|| format!("make {}", file.display()))?;
    Ok(file)
}

/// A file's name that tells builds of other variables apart.
fn with_environment(mut name: String, environment: &[(&str, &str)]) -> String {
    for (variable, value) in environment {
        name = format!("{name}-{}-{value}", variable.to_lowercase());
    }
    format!("{name}.elf")
}

/// What takes this machine's paths out of firmware: the places of panics name files, and those of
/// libraries would begin with somebody's home, however long that is. So the same source gives the
/// same bytes everywhere.
fn rust_flags() -> Result<String> {
    let given = std::env::var("RUSTFLAGS").unwrap_or_default();
    let mut flags: Vec<String> = given.split_whitespace().map(str::to_owned).collect();
    let mut remap = |folder: &Path| {
        flags.push(format!("--remap-path-prefix={}/=", folder.display()));
    };
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let registries = home.map(|home| home.join("registry/src")).and_then(|at| at.read_dir().ok());
    for registry in registries.into_iter().flatten() {
        remap(&registry.context("list the registries")?.path());
    }
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output();
    let sysroot = String::from_utf8(sysroot.context("ask rustc for its sysroot")?.stdout)?;
    remap(&Path::new(sysroot.trim()).join("lib/rustlib/src/rust"));
    // As cargo separates them: a folder's name may contain a blank.
    Ok(flags.join("\u{1f}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_dhcp_or_whole() {
        let table = [
            ("dhcp", None, Some(Address::Dhcp)),
            ("192.0.2.2/24", None, Some(Address::fixed("192.0.2.2/24", None))),
            ("10.0.2.15/24", Some("10.0.2.2"), Some(Address::of_user_network())),
            ("192.0.2.2", None, None),
            ("192.0.2.2/33", None, None),
            ("192.0.2/24", None, None),
            ("192.0.2.2/24", Some("gateway"), None),
            ("", None, None),
        ];
        for (ip, gateway, address) in table {
            assert_eq!(Address::parse(ip, gateway).ok(), address, "{ip} {gateway:?}");
        }
    }

    #[test]
    fn builds_that_differ_have_files_that_differ() {
        let address = Address::of_user_network();
        let one = Firmware {
            board: "board",
            target: THUMBV7M,
            bin: "hello",
            address: Some(&address),
            environment: &[],
        };
        assert_eq!(one.name(), "board-hello-10.0.2.15-24-10.0.2.2.elf");
        let dhcp = Firmware { address: Some(&Address::Dhcp), ..one.clone() };
        assert_eq!(dhcp.name(), "board-hello-dhcp.elf");
        let five = Firmware { environment: &[("CONNECTIONS", "5")], ..dhcp };
        assert_eq!(five.name(), "board-hello-dhcp-connections-5.elf");
    }
}
