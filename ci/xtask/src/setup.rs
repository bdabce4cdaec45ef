//! `cargo xtask setup`: adds what is missing on this machine, and only that.
//!
//! Nothing is missing on most runs, and then it takes well under two seconds: it looks for files
//! and asks rustup once for each toolchain. Debian packages are installed where that is allowed
//! (as root); elsewhere the exact command is printed and the step fails, except for what only
//! `browser` and `interop` use, without which everything else runs.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::metadata::target_folder;
use crate::packages::{TARGET_BOARD, TARGET_NO_CAS};
use crate::process::{Run, which};

/// Components of the toolchain in use, by the names that rustup lists installed ones with.
const COMPONENTS: &[&str] = &["clippy", "rustfmt", "rust-src"];

/// Components that only nightly has, or that Miri needs there.
const NIGHTLY_COMPONENTS: &[&str] = &["miri", "rust-src"];

/// The release of Tornado that this project is measured against.
const TORNADO: &str = "6.6.1";

/// Other clients of Python, which judge it in `interop`; those need nobody but that step.
const CLIENTS: &[&str] = &["requests==2.34.2", "httpx==0.28.1", "aiohttp==3.14.5"];

/// A file that shows that a Debian package is installed, and the package.
struct Debian {
    program: &'static str,
    package: &'static str,
    needed: bool,
}

const DEBIAN: &[Debian] = &[
    Debian { program: "valgrind", package: "valgrind", needed: true },
    Debian { program: "strace", package: "strace", needed: true },
    Debian { program: "c++", package: "g++", needed: true },
    Debian { program: "curl", package: "curl", needed: true },
    Debian { program: "python3", package: "python3", needed: true },
    Debian { program: "setpriv", package: "util-linux", needed: true },
    Debian { program: "qemu-system-arm", package: "qemu-system-arm", needed: true },
    Debian { program: "ip", package: "iproute2", needed: true },
    Debian { program: "chromium", package: "chromium", needed: false },
    Debian { program: "chromedriver", package: "chromium-driver", needed: false },
    Debian { program: "wget", package: "wget", needed: false },
    Debian { program: "node", package: "nodejs", needed: false },
    Debian { program: "go", package: "golang-go", needed: false },
    Debian { program: "ab", package: "apache2-utils", needed: false },
    Debian { program: "wrk", package: "wrk", needed: false },
    Debian { program: "h2load", package: "nghttp2-client", needed: false },
    Debian { program: "slowhttptest", package: "slowhttptest", needed: false },
];

/// Unpacked under target/ rather than installed: Debian starts a server that it installs.
const NGINX: &str = "nginx";

/// Debian keeps what `python3 -m venv` needs apart from Python itself.
const VENV: Debian = Debian { program: "python3", package: "python3-venv", needed: true };

/// Runs the step.
pub(crate) fn run() -> Result<()> {
    debian()?;
    if which("rustup").is_none() {
        bail!(
            "rustup is missing: toolchains and bare-metal targets come from it.\n\
             Install it (its own installer, or Debian's package `rustup`), then run this again."
        );
    }
    stable()?;
    nightly()?;
    tornado()?;
    clients()?;
    nginx()
}

/// Tornado itself, whose client judges our server, in an environment of its own under target/.
fn tornado() -> Result<()> {
    let folder = target_folder()?.join("tornado");
    let wanted = folder.join(format!("installed-{TORNADO}"));
    if wanted.exists() {
        return Ok(());
    }
    let venv = folder.to_string_lossy();
    Run::new("python3", 3).args(["-m", "venv", "--clear", &venv]).run()?;
    let python = format!("{venv}/bin/python3");
    let package = format!("tornado=={TORNADO}");
    Run::new(&python, 5)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", &package])
        .run()
        .with_context(|| format!("by hand: {python} -m pip install {package}"))?;
    std::fs::write(wanted, "").context("note that Tornado is installed")
}

/// Other clients of Python, beside Tornado; where they cannot be had, setting up goes on.
fn clients() -> Result<()> {
    let folder = target_folder()?.join("tornado");
    let wanted = folder.join(format!("installed-{}", CLIENTS.join("-")));
    if wanted.exists() {
        return Ok(());
    }
    let python = folder.join("bin/python3").display().to_string();
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    match Run::new(&python, 5).args(install).args(CLIENTS).run() {
        Ok(()) => std::fs::write(wanted, "").context("note that clients are installed"),
        Err(error) => {
            println!("`interop` will do without {}: {error:#}", CLIENTS.join(", "));
            Ok(())
        }
    }
}

/// nginx's own program, for the proxy that `interop` puts in front; it is unpacked, so that no
/// server of that name is started, now or with the machine. Where it cannot be had, setting up goes
/// on.
fn nginx() -> Result<()> {
    let folder = target_folder()?.join("interop").join(NGINX);
    let is_there = which(NGINX).is_some() || Path::new("/usr/sbin/nginx").exists();
    if is_there || folder.join("usr/sbin/nginx").exists() || which("apt-get").is_none() {
        return Ok(());
    }
    if let Err(error) = unpack_nginx(&folder) {
        println!("`interop` will do without nginx: {error:#}");
    }
    Ok(())
}

fn unpack_nginx(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let here = format!("--chdir={}", folder.display());
    // apt's own user may not write there.
    let words = ["-q", "-o", "APT::Sandbox::User=root", "download", NGINX];
    Run::new("env", 5).args([&here, "apt-get"]).args(words).run()?;
    for file in std::fs::read_dir(folder)? {
        let file = file?.path();
        if file.extension().is_some_and(|extension| extension == "deb") {
            Run::new("dpkg-deb", 1).args(["--extract".as_ref(), file.as_path(), folder]).run()?;
            std::fs::remove_file(file)?;
        }
    }
    Ok(())
}

fn stable() -> Result<()> {
    let targets = [TARGET_BOARD, TARGET_NO_CAS];
    let missing = missing(&targets, &installed(&["target", "list", "--installed"])?);
    if !missing.is_empty() {
        rustup(&[&["target", "add"], &missing[..]].concat())?;
    }
    let missing =
        missing_components(COMPONENTS, &installed(&["component", "list", "--installed"])?);
    if !missing.is_empty() {
        rustup(&[&["component", "add"], &missing[..]].concat())?;
    }
    Ok(())
}

fn nightly() -> Result<()> {
    let list = ["component", "list", "--installed", "--toolchain", "nightly"];
    // rustup answers with an error where there is no nightly: then everything of it is missing.
    let present = installed(&list).unwrap_or_default();
    let missing = missing_components(NIGHTLY_COMPONENTS, &present);
    if present.is_empty() {
        let components = NIGHTLY_COMPONENTS.iter().flat_map(|component| ["-c", component]);
        let install =
            ["toolchain", "install", "nightly", "--no-self-update", "--profile", "minimal"];
        rustup(&install.into_iter().chain(components).collect::<Vec<_>>())
    } else if !missing.is_empty() {
        rustup(&[&["component", "add", "--toolchain", "nightly"], &missing[..]].concat())
    } else {
        Ok(())
    }
}

fn rustup(arguments: &[&str]) -> Result<()> {
    Run::new("rustup", 15).args(arguments).run().with_context(|| {
        format!("rustup could not add what is missing; by hand: rustup {}", arguments.join(" "))
    })
}

/// The lines that rustup prints for a `list --installed`.
fn installed(arguments: &[&str]) -> Result<String> {
    let output = Command::new("rustup").args(arguments).output().context("start rustup")?;
    if !output.status.success() {
        bail!("rustup {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn missing<'a>(wanted: &[&'a str], installed: &str) -> Vec<&'a str> {
    wanted.iter().copied().filter(|name| !installed.lines().any(|line| line == *name)).collect()
}

/// As [`missing`], for components: rustup appends the host to most of their names.
fn missing_components<'a>(wanted: &[&'a str], installed: &str) -> Vec<&'a str> {
    let is = |line: &str, name: &str| {
        line.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("-x86_64-"))
            || line.strip_prefix(name).is_some_and(|rest| rest.starts_with("-aarch64-"))
    };
    wanted.iter().copied().filter(|name| !installed.lines().any(|line| is(line, name))).collect()
}

fn has_ensurepip() -> bool {
    let import = Command::new("python3").args(["-c", "import ensurepip, venv"]).output();
    import.is_ok_and(|output| output.status.success())
}

fn debian() -> Result<()> {
    let absent = |entry: &&Debian| which(entry.program).is_none();
    let mut missing: Vec<&Debian> = DEBIAN.iter().filter(absent).collect();
    if !has_ensurepip() {
        missing.push(&VENV);
    }
    if missing.is_empty() {
        return Ok(());
    }
    let may_install =
        rustix::process::geteuid().is_root() && Path::new("/usr/bin/apt-get").exists();
    let (needed, optional): (Vec<&Debian>, Vec<&Debian>) =
        missing.iter().partition(|entry| entry.needed);
    if may_install {
        return install(&names(&needed), &names(&optional));
    }
    let command =
        format!("sudo apt-get install --no-install-recommends {}", names(&missing).join(" "));
    if !needed.is_empty() {
        bail!("some programs are missing, and only root may install them:\n{command}");
    }
    println!("`browser` or `interop` will do without what is missing:\n{command}");
    Ok(())
}

fn names(entries: &[&Debian]) -> Vec<&'static str> {
    entries.iter().map(|entry| entry.package).collect()
}

/// Installs packages. What is optional is tried at once, and one by one when that fails: a release
/// of Debian need not have each.
fn install(needed: &[&str], optional: &[&str]) -> Result<()> {
    let apt = |arguments: &[&str]| {
        let apt = Run::new("apt-get", 15).env("DEBIAN_FRONTEND", "noninteractive");
        apt.args(["-q", "-o", "DPkg::Lock::Timeout=300"]).args(arguments).run()
    };
    let add = |packages: &[&str]| {
        apt(&[&["install", "-y", "--no-install-recommends"], packages].concat())
    };
    match apt(&["update"]) {
        Err(error) if needed.is_empty() => {
            let optional = optional.join(", ");
            println!("`browser` or `interop` will do without {optional}: {error:#}");
            return Ok(());
        }
        updated => updated?,
    }
    if add(&[needed, optional].concat()).is_ok() {
        return Ok(());
    }
    if !needed.is_empty() {
        add(needed)?;
    }
    for package in optional {
        if let Err(error) = add(&[package]) {
            println!("`browser` or `interop` will do without {package}: {error:#}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_absent_is_missing() {
        let targets = "thumbv7m-none-eabi\nx86_64-unknown-linux-gnu\n";
        assert_eq!(missing(&[TARGET_BOARD, TARGET_NO_CAS], targets), [TARGET_NO_CAS]);
        let components =
            "rust-src\nrust-std-x86_64-unknown-linux-gnu\nrustfmt-x86_64-unknown-linux-gnu";
        assert_eq!(missing_components(COMPONENTS, components), ["clippy"]);
        assert_eq!(missing_components(&["rust"], components), ["rust"]);
    }
}
