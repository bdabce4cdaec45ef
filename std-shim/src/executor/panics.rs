//! Panics of jobs: caught where panics unwind, buried where they abort.
//!
//! The panic hook runs on the thread that panicked, before anything is unwound or aborted. There a
//! thread-local says whether a job is what panicked, and of which executor. See "Panics" in the
//! [`executor`](super) module for what follows.
//!
//! Layer: a part of [`executor`](super); [`percore`](crate::percore)'s hook asks [`outlived`].

use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::{Arc, Once};

use super::JobError;
use crate::percore::EXIT_PANIC;

/// How many threads of one executor may be parked for ever by panics that cannot be unwound; one
/// more panic ends the process. A thread that does nothing costs its stack's touched pages.
pub const DEAD_THREADS_MAX: usize = 16;

/// Where a job panicked, and with which message.
#[derive(Clone, PartialEq, Eq)]
pub struct Panic(Box<Words>);

/// Boxed, so that results that may be a panic are not larger for it.
#[derive(Clone, PartialEq, Eq)]
struct Words {
    place: String,
    message: String,
}

impl Panic {
    fn new(info: &PanicHookInfo<'_>) -> Self {
        let place = info.location().map_or_else(String::new, ToString::to_string);
        let message = info.payload_as_str().unwrap_or("(a value that is no text)").to_owned();
        Self(Box::new(Words { place, message }))
    }

    /// File, line and column: `src/work.rs:10:5`.
    pub fn place(&self) -> &str {
        &self.0.place
    }

    /// What it said.
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panicked at {}: {}", self.place(), self.message())
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The executor of a thread, whatever its jobs.
pub(super) trait Pool: Send + Sync {
    /// Tells that the job at `place` died with its thread, which another one replaces. `false`:
    /// there were too many, or there is no thread to be had.
    fn bury(self: Arc<Self>, place: usize, panic: Panic) -> bool;
}

thread_local! {
    /// Whose thread this is.
    static POOL: RefCell<Option<Arc<dyn Pool>>> = const { RefCell::new(None) };
    /// The place of the job that it runs.
    static JOB: Cell<Option<usize>> = const { Cell::new(None) };
    /// What the hook saw of a panic that is being unwound.
    static SEEN: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// Makes this thread one of `pool`.
pub(super) fn enter(pool: Arc<dyn Pool>) {
    POOL.set(Some(pool));
}

/// Ends that.
pub(super) fn leave() {
    drop(POOL.take());
}

/// Runs the user's code for the job at `place`, and makes an error of its panic. Where panics
/// abort, it does not return then, and neither does the thread.
pub(super) fn catch<T>(place: usize, run: impl FnOnce() -> T) -> Result<T, JobError> {
    JOB.set(Some(place));
    SEEN.set(None);
    // What a job leaves half done is its own: nothing of it is looked at again.
    let result = panic::catch_unwind(AssertUnwindSafe(run));
    let result = result.map_err(|payload| {
        // The payload is the user's too, and its drop may panic as well; a text's does not.
        if payload.is::<&'static str>() || payload.is::<String>() {
            drop(payload);
        } else {
            std::mem::forget(payload);
        }
        let unseen = || Panic(Box::new(Words { place: String::new(), message: String::new() }));
        JobError::Panicked(SEEN.take().unwrap_or_else(unseen))
    });
    JOB.set(None);
    result
}

/// Puts our hook around the one that is there, once a process.
pub(super) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !outlived(info) {
                others(info);
                if JOB.get().is_some() {
                    // One burial too many: as any other panic, though nobody else may say so.
                    std::process::exit(i32::from(EXIT_PANIC));
                }
            }
        }));
    });
}

/// For a panic hook: whether this panic is a job's, and only that. Does not return where panics
/// abort and the process outlives this one.
pub(crate) fn outlived(info: &PanicHookInfo<'_>) -> bool {
    let Some(place) = JOB.get() else { return false };
    let panic = Panic::new(info);
    if cfg!(panic = "unwind") {
        SEEN.set(Some(panic));
        return true;
    }
    let Some(pool) = POOL.with_borrow(Option::clone) else { return false };
    if !pool.bury(place, panic) {
        return false;
    }
    loop {
        std::thread::park();
    }
}
