//! A board in QEMU: booted, listened to and ended with its value.

use std::collections::hash_map::RandomState;
use std::ffi::OsString;
use std::hash::{BuildHasher, Hasher};
use std::net::TcpListener;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::counts::Plugin;
use crate::firmware::Address;
use crate::log::{Log, Missing};
use crate::qmp::Qmp;
use crate::stack::Stack;
use crate::user_network;

/// The emulator.
const QEMU: &str = "qemu-system-arm";

/// The board that firmware runs on unless another is named.
const BOARD: &str = "lm3s6965evb";

/// What QEMU's own messages begin with in the log.
const OWN: &str = "qemu: ";

/// The plugin's file in the machine's folder.
const COUNTS: &str = "counts";

/// How often it is looked whether QEMU has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Where the board's Ethernet leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    /// To nothing: no cable.
    None,
    /// To QEMU's own network, which leads 127.0.0.1:`port` to the board's port 80; 0: the kernel
    /// chooses a free one, see [`Machine::port`]. QEMU ends TCP itself here: what the board
    /// refuses or resets cannot be seen. The board is 10.0.2.15/24, by DHCP too.
    User {
        /// The port on 127.0.0.1.
        port: u16,
    },
    /// To a tap device that is there already, in the network namespace that QEMU starts in.
    Tap {
        /// The device's name.
        name: String,
    },
}

/// What a machine starts with; made by [`Machine::of`].
pub struct Builder<'a> {
    firmware: PathBuf,
    network: Network,
    /// The board's port that [`Network::User`] leads to.
    guest_port: u16,
    /// Further words for [`Network::User`].
    around: String,
    within: Vec<OsString>,
    plugin: Option<&'a Plugin>,
    stack: Option<Stack>,
    icount: Option<String>,
    second_serial: bool,
    more: Vec<OsString>,
}

/// A running board. It is ended when the value is dropped, when the thread that started it ends,
/// and when the process dies, however it dies.
pub struct Machine {
    child: Mutex<Child>,
    log: Log,
    qmp: Mutex<Option<Qmp>>,
    folder: Folder,
}

/// A folder of the machine's own, for its control channel and what QEMU reads and writes; it is
/// gone with the value.
struct Folder(PathBuf);

impl<'a> Builder<'a> {
    /// Where its Ethernet leads; to nothing without this.
    pub fn network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    /// The board's port that [`Network::User`] leads to: 80 without this.
    pub fn guest_port(mut self, port: u16) -> Self {
        self.guest_port = port;
        self
    }

    /// Lays [`Network::User`] around the address that the firmware was built with, wherever it is.
    ///
    /// # Errors
    /// No network can be laid around it: it has fewer than four addresses to spare.
    pub fn guest(mut self, address: &Address) -> Result<Self> {
        if let Address::Static { ip, gateway } = address {
            self.around = user_network::around(ip, gateway.as_deref())?;
        }
        Ok(self)
    }

    /// Words to put before QEMU's own, such as `ip netns exec NAME`: a program that replaces itself
    /// by the one that it is given.
    pub fn within<W: Into<OsString>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
        self.within.extend(words.into_iter().map(Into::into));
        self
    }

    /// Counts executions of each instruction, for [`Counts`](crate::counts::Counts).
    pub fn count(mut self, plugin: &'a Plugin) -> Self {
        self.plugin = Some(plugin);
        self
    }

    /// Fills the stack with a pattern before each reset, for [`Stack::peak`].
    pub fn paint(mut self, stack: Stack) -> Self {
        self.stack = Some(stack);
        self
    }

    /// Lets virtual time follow the count of instructions: what `-icount` takes, `shift=3`. With
    /// clients outside, `sleep=off` would leap over every idle moment and fire each time-out.
    pub fn icount(mut self, icount: &str) -> Self {
        self.icount = Some(icount.to_owned());
        self
    }

    /// Gives the board's second serial port another end, see [`Machine::second_serial`]; without
    /// this it leads to nothing.
    pub fn second_serial(mut self) -> Self {
        self.second_serial = true;
        self
    }

    /// More arguments for QEMU.
    pub fn arguments<W: Into<OsString>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
        self.more.extend(words.into_iter().map(Into::into));
        self
    }

    /// Starts QEMU.
    ///
    /// # Errors
    /// The firmware's file is missing, the port is taken, or QEMU cannot be started. What QEMU
    /// itself does not like shows in the first [`Machine::wait_for`], with its own words.
    pub fn start(self) -> Result<Machine> {
        if !self.firmware.is_file() {
            bail!("there is no firmware at {}", self.firmware.display());
        }
        if let Network::User { port } = self.network {
            is_free(port)?;
        }
        let folder = Folder::new()?;
        let mut command = Command::new("setpriv");
        // The kernel ends it with the thread that started it.
        command.args(["--pdeathsig", "KILL"]).args(&self.within).arg(QEMU);
        command.args(self.words(&folder.0)?);
        // In a group of its own, so that Ctrl-C reaches only the one who decides what it means.
        command.process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("start setpriv (Debian's package util-linux)")?;
        let log = Log::default();
        log.follow(child.stdout.take().context("the serial port was not piped")?, "");
        log.follow(child.stderr.take().context("QEMU's messages were not piped")?, OWN);
        Ok(Machine { child: Mutex::new(child), log, qmp: Mutex::new(None), folder })
    }

    fn words(&self, folder: &Path) -> Result<Vec<OsString>> {
        let mut words: Vec<OsString> = ["-machine", BOARD, "-display", "none", "-monitor", "none"]
            .map(OsString::from)
            .into_iter()
            .chain(["-serial", "stdio"].map(OsString::from))
            .collect();
        if self.second_serial {
            // In the order of the board's ports: this is its second one.
            words.extend(["-serial".into(), served(&second_serial(folder))]);
        }
        words.extend(["-qmp".into(), served(&channel(folder))]);
        words.extend(["-nic".into(), self.network.word(self.guest_port, &self.around)]);
        if let Some(icount) = &self.icount {
            words.extend(["-icount".into(), icount.into()]);
        }
        if let Some(plugin) = self.plugin {
            words.extend(["-plugin".into(), plugin.word(&folder.join(COUNTS))]);
        }
        if let Some(stack) = self.stack {
            words.extend(stack.paint(&folder.join("paint"))?);
        }
        words.extend(self.more.iter().cloned());
        words.extend(["-kernel".into(), self.firmware.clone().into()]);
        Ok(words)
    }
}

impl Network {
    /// What `-nic` takes.
    fn word(&self, guest_port: u16, around: &str) -> OsString {
        match self {
            Self::None => "none".into(),
            Self::User { port } => {
                let forwarded = format!("tcp:127.0.0.1:{port}-:{guest_port}");
                format!("user,model=stellaris,hostfwd={forwarded}{around}").into()
            }
            Self::Tap { name } => {
                format!("tap,model=stellaris,ifname={name},script=no,downscript=no").into()
            }
        }
    }
}

impl Machine {
    /// A board that boots this ELF file.
    pub fn of(firmware: &Path) -> Builder<'static> {
        Builder {
            firmware: firmware.to_owned(),
            network: Network::None,
            guest_port: 80,
            around: String::new(),
            within: Vec::new(),
            plugin: None,
            stack: None,
            icount: None,
            second_serial: false,
            more: Vec::new(),
        }
    }

    /// Waits for a line of the board's that contains `text` and returns it whole. Lines are looked
    /// at once: the next wait goes on behind this line, so that a second boot is not taken for the
    /// first.
    ///
    /// # Errors
    /// The line did not come in time, or QEMU has ended; with everything that was printed.
    pub fn wait_for(&self, text: &str, patience: Duration) -> Result<String> {
        let wanted = |line: &str| line.contains(text) && !line.starts_with(OWN);
        self.log.next(patience, wanted).map_err(|missing| {
            let why = match missing {
                Missing::Late => format!("not within {patience:?}"),
                Missing::Ended => format!("QEMU has ended ({})", self.status()),
            };
            anyhow::anyhow!("the board did not print \"{text}\": {why}\n{}", self.shown_log())
        })
    }

    /// The next line, whatever it is; None when none came in time.
    ///
    /// # Errors
    /// QEMU has ended and everything that it printed was seen.
    pub fn next_line(&self, patience: Duration) -> Result<Option<String>> {
        match self.log.next(patience, |_| true) {
            Ok(line) => Ok(Some(line)),
            Err(Missing::Late) => Ok(None),
            Err(Missing::Ended) => bail!("QEMU has ended ({})", self.status()),
        }
    }

    /// The other end of the board's second serial port, for one at a time. What the board says
    /// before this is lost, as on a line to which nobody listens; what it does not read waits.
    ///
    /// # Errors
    /// The machine was not given one ([`Builder::second_serial`]), or QEMU does not open it in
    /// time.
    pub fn second_serial(&self, patience: Duration) -> Result<UnixStream> {
        let place = second_serial(&self.folder.0);
        let deadline = Instant::now() + patience;
        loop {
            match UnixStream::connect(&place) {
                Ok(stream) => return Ok(stream),
                Err(error) if Instant::now() >= deadline => {
                    let why = || format!("the second serial port\n{}", self.shown_log());
                    return Err(error).with_context(why);
                }
                Err(_) => thread::sleep(LOOK_EVERY),
            }
        }
    }

    /// Everything that was printed so far. QEMU's own messages begin with `qemu: `.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// The process id of QEMU.
    pub fn id(&self) -> u32 {
        self.child().id()
    }

    /// Whether QEMU still runs.
    pub fn is_running(&self) -> bool {
        matches!(self.child().try_wait(), Ok(None))
    }

    /// The port on 127.0.0.1 that leads to the board's port 80, with [`Network::User`].
    ///
    /// # Errors
    /// The board has another network, or QEMU does not answer.
    pub fn port(&self) -> Result<u16> {
        let arguments = json!({ "command-line": "info usernet" });
        let table = self.qmp("human-monitor-command", &arguments)?;
        let table = table.as_str().unwrap_or_default();
        forwarded(table).with_context(|| format!("no port leads to the board:\n{table}"))
    }

    /// Executes a command of QEMU's control channel (QMP) and returns what it returned.
    ///
    /// # Errors
    /// QEMU refuses it, or does not answer within ten seconds.
    pub fn qmp(&self, command: &str, arguments: &Value) -> Result<Value> {
        let mut qmp = self.qmp.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = match &mut *qmp {
            Some(qmp) => qmp.execute(command, arguments),
            None => Qmp::connect(&channel(&self.folder.0))
                .and_then(|new| qmp.insert(new).execute(command, arguments)),
        };
        outcome.with_context(|| self.shown_log())
    }

    /// The board's memory, `bytes` of it from `address`, as it is at this moment.
    ///
    /// # Errors
    /// QEMU does not answer or could not write the file that it passes them in.
    pub fn memory(&self, address: u32, bytes: u32) -> Result<Vec<u8>> {
        let file = self.folder.0.join("memory");
        let arguments = json!({ "val": address, "size": bytes, "filename": file });
        self.qmp("pmemsave", &arguments)?;
        let memory = fs::read(&file).with_context(|| format!("read {}", file.display()))?;
        if memory.len() as u64 != u64::from(bytes) {
            bail!("QEMU wrote {} bytes of memory, {bytes} were asked for", memory.len());
        }
        Ok(memory)
    }

    /// Ends QEMU as its user would, so that it and its plugins finish their work.
    ///
    /// # Errors
    /// It has ended before, or does not end in time, or with a failure.
    pub fn quit(self, patience: Duration) -> Result<()> {
        self.qmp("quit", &json!({}))?;
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Some(status) = self.child().try_wait()? {
                if !status.success() {
                    bail!("QEMU ended with {status}\n{}", self.shown_log());
                }
                return Ok(());
            }
            thread::sleep(LOOK_EVERY);
        }
        bail!("QEMU did not end within {patience:?}\n{}", self.shown_log())
    }

    /// Where the plugin counts, if it does.
    pub(crate) fn counts_file(&self) -> PathBuf {
        self.folder.0.join(COUNTS)
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn status(&self) -> String {
        let shown = |status: Option<ExitStatus>| status.map(|status| status.to_string());
        // Its outputs close a moment before it can be waited for.
        thread::sleep(LOOK_EVERY);
        let status = self.child().try_wait().ok().and_then(shown);
        status.unwrap_or_else(|| "its outputs are closed".to_owned())
    }

    fn shown_log(&self) -> String {
        let log = self.log();
        if log.is_empty() { "it printed nothing".to_owned() } else { format!("it printed:\n{log}") }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Both fail only when it has ended already, which is what is wanted.
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Folder {
    /// A folder that nobody else has, or may look into. A socket's path may have 107 bytes, hence
    /// the short place.
    fn new() -> Result<Self> {
        let random = RandomState::new().build_hasher().finish();
        let folder = std::env::temp_dir().join(format!("dustdevil-{random:016x}"));
        let made = fs::DirBuilder::new().mode(0o700).create(&folder);
        made.with_context(|| format!("make {}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // It fails only when somebody else has removed it.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn channel(folder: &Path) -> PathBuf {
    folder.join("qmp")
}

fn second_serial(folder: &Path) -> PathBuf {
    folder.join("serial")
}

/// A socket on which QEMU listens, but does not wait for anybody.
fn served(place: &Path) -> OsString {
    with("unix:", place, ",server=on,wait=off")
}

fn with(before: &str, path: &Path, after: &str) -> OsString {
    let mut word = OsString::from(before);
    word.push(path);
    word.push(after);
    word
}

/// QEMU's own words for a taken port do not name it.
fn is_free(port: u16) -> Result<()> {
    // Port 0 is always free.
    TcpListener::bind(("127.0.0.1", port))
        .map(drop)
        .with_context(|| format!("127.0.0.1:{port} is taken; choose another with --port"))
}

/// The port in `TCP[HOST_FORWARD]  12  127.0.0.1  8080  10.0.2.15  80  0  0`.
fn forwarded(table: &str) -> Option<u16> {
    let row = table.lines().find(|line| line.trim_start().starts_with("TCP[HOST_FORWARD]"))?;
    row.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assembled::Assembled;

    #[test]
    fn the_forwarded_port_is_read() {
        let table = "Hub -1 (#net037):\n  Protocol[State]    FD  Source Address  Port\n  \
                     TCP[HOST_FORWARD]  11      127.0.0.1  8080     10.0.2.15    80     0     0\n";
        assert_eq!(forwarded(table), Some(8080));
        assert_eq!(forwarded("  TCP[ESTABLISHED]  11  10.0.2.2  80  10.0.2.15  80"), None);
    }

    #[test]
    fn a_taken_port_is_named() -> Result<()> {
        let other = TcpListener::bind("127.0.0.1:0")?;
        let port = other.local_addr()?.port();
        let failure = format!("{:#}", is_free(port).expect_err("it is taken"));
        assert!(failure.contains(&format!("127.0.0.1:{port} is taken")), "{failure}");
        drop(other);
        is_free(0)
    }

    #[test]
    fn a_machine_says_what_it_prints_and_ends_when_asked_or_dropped() -> Result<()> {
        let program = Assembled::new("machine", &[])?;
        let late = Duration::from_secs(30);
        let machine = Machine::of(program.file()).start()?;
        assert_eq!(machine.wait_for("o", late)?, "ok");
        let failure = machine.wait_for("ok", Duration::from_millis(50));
        let failure = failure.expect_err("it is printed once").to_string();
        assert!(
            failure.contains("did not print \"ok\"") && failure.contains("\nok\n"),
            "{failure}"
        );
        assert_eq!(machine.memory(Assembled::FIRST + 2, 2)?, [b'o', 0x21]);
        machine.quit(late)?;
        let machine = Machine::of(program.file()).start()?;
        let place = PathBuf::from(format!("/proc/{}", machine.id()));
        let folder = machine.folder.0.clone();
        assert!(machine.is_running() && place.exists() && folder.exists());
        drop(machine);
        assert!(!place.exists() && !folder.exists());
        Ok(())
    }

    #[test]
    fn a_free_port_is_chosen_and_told() -> Result<()> {
        let program = Assembled::new("port", &[])?;
        let machine = Machine::of(program.file()).network(Network::User { port: 0 }).start()?;
        assert!(is_free(machine.port()?).is_err(), "it is QEMU's");
        Ok(())
    }

    #[test]
    fn a_second_serial_port_is_there_when_it_was_asked_for() -> Result<()> {
        let program = Assembled::new("serial", &[])?;
        let machine = Machine::of(program.file()).second_serial().start()?;
        machine.second_serial(Duration::from_secs(30))?;
        let machine = Machine::of(program.file()).start()?;
        let failure = machine.second_serial(Duration::from_millis(50));
        let failure = format!("{:#}", failure.expect_err("nobody asked for one"));
        assert!(failure.contains("the second serial port"), "{failure}");
        Ok(())
    }

    #[test]
    fn what_qemu_does_not_like_is_told_in_its_words() -> Result<()> {
        let program = Assembled::new("wrong", &[])?;
        let machine = Machine::of(program.file()).arguments(["-no-such-option"]).start()?;
        let failure = machine.wait_for("ok", Duration::from_secs(30));
        let failure = failure.expect_err("it has no such option").to_string();
        assert!(failure.contains("QEMU has ended") && failure.contains("qemu: "), "{failure}");
        Ok(())
    }

    #[test]
    fn firmware_that_is_not_there_is_named() {
        let failure = Machine::of(Path::new("/nowhere/hello")).start().err();
        assert!(failure.is_some_and(|error| error.to_string().contains("/nowhere/hello")));
    }
}
