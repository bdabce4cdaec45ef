//! A QEMU plugin that counts the executions of each guest instruction.
//!
//! It maps a file of `u64` counters, one for every two bytes of guest memory from address 0 on and
//! one more, the last, for instructions that lie behind those. QEMU translates guest code block by
//! block; here each instruction of a block gets an inline addition to its counter, so a count costs
//! no call. The reader is the package `qemu` (`counts`), which looks at the file at any time.
//!
//! ```text
//! qemu-system-arm .. -plugin libicount.so,counts=FILE,bytes=262144
//! ```
//!
//! The prototypes are QEMU's plugin API, version 1 (`include/qemu/qemu-plugin.h` of QEMU 7.2),
//! declared by hand since Debian ships no header.
//!
//! Invariants: the machine has one virtual CPU, since the additions are not atomic; the mapping is
//! made once and lives as long as the process, since translated code keeps pointers into it.
//!
//! `unsafe` cannot be avoided here and has four purposes: QEMU's functions are foreign, what it
//! hands over is raw pointers, symbols must have the names that it looks for, and a mapping is
//! made.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::fs::File;
use std::path::PathBuf;
use std::ptr::null_mut;
use std::sync::OnceLock;

use rustix::mm::{MapFlags, ProtFlags, mmap};

/// The version of the plugin API that this file declares.
const API_VERSION: c_int = 1;

/// `QEMU_PLUGIN_INLINE_ADD_U64`.
const INLINE_ADD_U64: c_int = 0;

/// A Thumb instruction has at least so many bytes.
const STEP: u64 = 2;

/// `struct qemu_plugin_tb`: a block of guest code that is being translated.
#[repr(C)]
pub struct Block {
    _opaque: [u8; 0],
}

/// `struct qemu_plugin_insn`: one instruction of it.
#[repr(C)]
pub struct Instruction {
    _opaque: [u8; 0],
}

// SAFETY: the prototypes are those of qemu-plugin.h, version 1, which QEMU checks by means of
// `qemu_plugin_version` before it calls anything here.
unsafe extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(id: u64, callback: extern "C" fn(u64, *mut Block));
    fn qemu_plugin_tb_n_insns(block: *const Block) -> usize;
    fn qemu_plugin_tb_get_insn(block: *const Block, index: usize) -> *mut Instruction;
    fn qemu_plugin_insn_vaddr(instruction: *const Instruction) -> u64;
    fn qemu_plugin_register_vcpu_insn_exec_inline(
        instruction: *mut Instruction,
        operation: c_int,
        counter: *mut c_void,
        addend: u64,
    );
}

/// What QEMU reads to know which API this was written for.
// SAFETY: QEMU looks for this name in each plugin, and nothing else here or in QEMU has it.
#[unsafe(no_mangle)]
#[used]
pub static qemu_plugin_version: c_int = API_VERSION;

/// Where the counters lie.
struct Counters {
    /// Address of the first one.
    /// INVARIANT: `count` counters and one more lie there, zeroed, until the process ends.
    start: usize,
    /// How many instructions have one of their own.
    count: u64,
}

static COUNTERS: OnceLock<Counters> = OnceLock::new();

impl Counters {
    /// The counter of the instruction at this address.
    fn of(&self, address: u64) -> *mut c_void {
        // An address behind the last one of its own shares the counter behind those.
        let at = (address / STEP).min(self.count) as usize;
        std::ptr::with_exposed_provenance_mut(self.start + at * size_of::<u64>())
    }

    /// Makes the file, all zero, and maps it.
    fn map(file: &PathBuf, bytes: u64) -> Result<Self, String> {
        let shown = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
        let counts = File::create_new(file).map_err(|error| shown(&error))?;
        let count = bytes / STEP;
        let length = (count + 1) * size_of::<u64>() as u64;
        counts.set_len(length).map_err(|error| shown(&error))?;
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: without MAP_FIXED the kernel chooses an address where nothing lies, so no memory
        // of QEMU's is replaced; nothing here refers to the mapping but by raw pointers.
        let start = unsafe { mmap(null_mut(), length as usize, access, flags, &counts, 0) };
        let start = start.map_err(|error| shown(&error))?;
        Ok(Self { start: start.expose_provenance(), count })
    }
}

/// Called by QEMU when it loads the plugin; anything but 0 ends QEMU.
///
/// # Safety
/// `arguments` points to `count` strings that end with a zero byte.
// SAFETY: QEMU looks for this name in each plugin, and nothing else here or in QEMU has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    id: u64,
    _: *const c_void,
    count: c_int,
    arguments: *const *const c_char,
) -> c_int {
    let texts = (0..usize::try_from(count).unwrap_or(0)).map(|at| {
        // SAFETY: QEMU passes so many pointers, each to a string that ends with a zero byte.
        unsafe { CStr::from_ptr(*arguments.add(at)) }.to_string_lossy().into_owned()
    });
    let started = start(&texts.collect::<Vec<_>>());
    let kept = started.and_then(|own| COUNTERS.set(own).map_err(|_| "it is loaded already".into()));
    if let Err(why) = kept {
        eprintln!("icount: {why}");
        return 1;
    }
    // SAFETY: QEMU handed over this id, and the function has the type that it calls.
    unsafe { qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation) };
    0
}

fn start(arguments: &[String]) -> Result<Counters, String> {
    let value = |name: &str| {
        let found = arguments.iter().find_map(|text| text.strip_prefix(name)?.strip_prefix('='));
        found.ok_or_else(|| format!("the argument {name}= is missing"))
    };
    let bytes = value("bytes")?;
    let bytes = bytes.parse().map_err(|_| format!("bytes={bytes} is no number"))?;
    Counters::map(&PathBuf::from(value("counts")?), bytes)
}

/// Called by QEMU for each block that it translates, before the block is executed.
extern "C" fn on_translation(_: u64, block: *mut Block) {
    let Some(counters) = COUNTERS.get() else { return };
    // SAFETY: QEMU lends the block for the length of this call.
    let count = unsafe { qemu_plugin_tb_n_insns(block) };
    for at in 0..count {
        // SAFETY: as above, and the block has more than `at` instructions; each counter lies in a
        // mapping that is never taken away.
        unsafe {
            let instruction = qemu_plugin_tb_get_insn(block, at);
            let counter = counters.of(qemu_plugin_insn_vaddr(instruction));
            qemu_plugin_register_vcpu_insn_exec_inline(instruction, INLINE_ADD_U64, counter, 1);
        }
    }
}
