//! Work that blocks, on threads of its own: Tornado's `run_in_executor`.
//!
//! A disk, a C library, a long computation: a [`Job`] is handed to an [`Executor`], whose threads
//! run it, and [`Submitted`] resolves to what it returned. The reactor never waits for one: it
//! takes a lock that is held for a few moves of a value, and is woken when a job is done.
//!
//! ```text
//!   submit ----> waiting ----> running ----> done ----> Submitted resolves, the place is free
//!                   |             |            |
//!     dropped:  never run    runs to its end, thrown away
//! ```
//!
//! | Tornado | here |
//! |---|---|
//! | `run_in_executor(executor, f, *args)` | `executor.submit(job)?.await` |
//! | `set_default_executor` | nothing global: a field of the application's own value |
//! | `@run_on_executor` | a method whose body is that one line |
//! | `ThreadPoolExecutor(max_workers)` | [`Executor::new`], whose queue is bounded too |
//! | `executor.shutdown(wait=True, cancel_futures=True)` | dropping it |
//! | `Future.cancel()` | dropping [`Submitted`] |
//!
//! An executor runs jobs of one type, so that their places can be there from the start: a function
//! pointer, an `enum` with a [`Job`] of its own, or one closure behind a helper function. Who wants
//! any closure takes `Box<dyn FnOnce() -> T + Send>`, and pays an allocation for each.
//!
//! # Invariants
//! - Nothing allocates after [`Executor::new`], but for a panic.
//! - No code of the user's runs, and none of its values is dropped, while the lock is held.
//! - A job that has begun runs to its end: threads cannot be stopped.
//!
//! # Panics
//! A panic in a job is that job's error ([`JobError::Panicked`], with place and message) and ends
//! neither the process nor the reactor: the one place where it does not. What is written on
//! standard error is nothing, unless nobody waits for the job any more: then [`log`] has it.
//!
//! - Where panics unwind, the job is unwound and its thread goes on.
//! - Where they abort (our release profile), nothing can be unwound. The panic hook runs first, on
//!   the thread that panicked: it reports the error, starts another thread in place of this one and
//!   parks it for ever. What the job held is held for ever: its memory, its descriptors, its locks.
//!   And it is a hook that does not return: std keeps the hook's own lock, so `set_hook` and
//!   `take_hook` wait for ever from then on; set hooks at start-up. After [`DEAD_THREADS_MAX`] such
//!   panics in one executor, the next ends the process with 101 as elsewhere.
//! - A job that catches its own panics may do so where they unwind. A second panic while one
//!   unwinds aborts the process: that is Rust's.
//!
//! The hook is installed by the first [`Executor::new`] of the process, around the one that is
//! there.
//!
//! Capacity: `threads` jobs that run and `queue` that wait; a job that is done holds its place
//! until its future was polled or dropped. Full: [`Full`], with the job in it.
//!
//! Layer: stands on std's threads; [`percore`](crate::percore) leaves its jobs' panics to it.
//!
//! ```
//! use dustdevil_core::reactor::{Capacity, Reactor};
//! use dustdevil_core::wake::Wakes;
//! use dustdevil_std::executor::{Executor, Job};
//! use dustdevil_std::{Epoll, zeroed};
//!
//! enum Work {
//!     Count(&'static str),
//!     Divide(u32, u32),
//! }
//!
//! impl Job for Work {
//!     type Output = u32;
//!     fn run(self) -> u32 {
//!         match self {
//!             Self::Count(path) => std::fs::read_dir(path).unwrap().count() as u32,
//!             Self::Divide(number, by) => number / by,
//!         }
//!     }
//! }
//!
//! const CAPACITY: Capacity = Capacity { sources: 0, timers: 0, groups: 0, tasks: 1, waiters: 0 };
//! static WAKES: Wakes<1> = Wakes::new();
//! let mut tables = zeroed(CAPACITY.bytes());
//! let reactor = Reactor::new(Epoll::new()?, tables.block(), CAPACITY, &WAKES);
//!
//! let executor = Executor::new(2, 16).unwrap();
//! reactor.run(async {
//!     let count = executor.submit(Work::Count("/proc")).unwrap();
//!     let nonsense = executor.submit(Work::Divide(1, 0)).unwrap().await;
//!     assert!(nonsense.unwrap_err().to_string().ends_with("attempt to divide by zero"));
//!     assert!(count.await.unwrap() > 10);
//! });
//! # Ok::<(), dustdevil_core::poller::Error>(())
//! ```

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

pub use dustdevil_core::full::Full;

mod panics;

pub(crate) use panics::outlived;
pub use panics::{DEAD_THREADS_MAX, Panic};

/// What a thread of an executor does once.
pub trait Job: Send + 'static {
    /// What comes of it.
    type Output: Send + 'static;

    /// Does it, on a thread where blocking hurts nobody.
    fn run(self) -> Self::Output;
}

impl<T: Send + 'static, F: FnOnce() -> T + Send + 'static> Job for F {
    type Output = T;

    fn run(self) -> T {
        self()
    }
}

/// Why a job has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobError {
    /// It panicked.
    Panicked(Panic),
    /// Its executor was closed before it began.
    Closed,
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(panic) => panic.fmt(f),
            Self::Closed => f.write_str("the executor was closed before the job began"),
        }
    }
}

impl std::error::Error for JobError {}

/// Jobs still ran when an executor's time was over; they run on, and their results are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StillRunning(pub usize);

impl fmt::Display for StillRunning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} jobs still run", self.0)
    }
}

impl std::error::Error for StillRunning {}

/// A pool of threads and a queue, both bounded. See the [module](self).
///
/// Shared as `&Executor`, also between the workers of a process. Dropping it closes it: jobs that
/// have not begun resolve to [`JobError::Closed`], and the drop waits until those that run are
/// done, however long they take; [`close`](Self::close) has a limit. That blocks the thread, so let
/// the executor outlive the reactor.
pub struct Executor<J: Job> {
    shared: Arc<Shared<J>>,
}

impl<J: Job> Executor<J> {
    /// An executor of `threads` threads, whose jobs wait in a queue of `queue` places.
    ///
    /// # Errors
    /// A thread could not be started.
    ///
    /// # Panics
    /// Without a thread.
    pub fn new(threads: usize, queue: usize) -> io::Result<Self> {
        assert!(threads >= 1, "an executor has at least one thread");
        panics::install();
        let shared = Arc::new(Shared::new(threads + queue));
        // From here on a failure drops `executor`, which ends the threads that were started.
        let executor = Self { shared };
        for _ in 0..threads {
            executor.shared.clone().start()?;
        }
        Ok(executor)
    }

    /// Has `job` run as soon as a thread is free; first come, first served. It runs whether or not
    /// what this returns is ever polled, unless that is dropped first.
    ///
    /// # Errors
    /// [`Full`]: every place is taken; the job comes back.
    pub fn submit(&self, job: J) -> Result<Submitted<J>, Full<J>> {
        let mut state = self.shared.lock();
        let Some(place) = state.free.pop() else { return Err(Full(job)) };
        state.places[place] = Place { stage: Stage::Waiting(job), waker: None };
        state.queue.push_back(place);
        drop(state);
        self.shared.changed.notify_one();
        Ok(Submitted { shared: self.shared.clone(), place: Some(place) })
    }

    /// How many more jobs it would take now.
    pub fn room(&self) -> usize {
        self.shared.lock().free.len()
    }

    /// Closes it as dropping does, but waits no longer than `patience` for what runs.
    ///
    /// # Errors
    /// [`StillRunning`]: so many jobs go on by themselves; the end of the process stops them.
    pub fn close(self, patience: Duration) -> Result<(), StillRunning> {
        self.shared.close();
        // One that cannot be held is no bound.
        self.shared.wait(Instant::now().checked_add(patience))
    }
}

/// Not for one of its own jobs to do: that would wait for itself.
impl<J: Job> Drop for Executor<J> {
    fn drop(&mut self) {
        if self.shared.close() {
            // Without a limit it cannot fail.
            let _ = self.shared.wait(None);
        }
    }
}

/// Resolves to what a job returned. See [`Executor::submit`].
///
/// Cancel-safe: dropping it loses the result and nothing else. A job that has not begun is not run
/// then; one that runs is run to its end, and its place is free after that.
/// [`detach`](Self::detach) drops it and has the job run in any case.
#[must_use = "dropping this cancels a job that has not begun"]
pub struct Submitted<J: Job> {
    shared: Arc<Shared<J>>,
    /// `None` once it has resolved or was detached.
    place: Option<usize>,
}

impl<J: Job> Submitted<J> {
    /// Has the job run whatever happens, but for the executor's end, and throws its result away.
    /// Tornado: `spawn_callback` of it.
    pub fn detach(mut self) {
        let Some(place) = self.place.take() else { return };
        let mut state = self.shared.lock();
        let Place { stage, waker } = &mut state.places[place];
        let waker = waker.take();
        let (next, is_done) = match std::mem::replace(stage, Stage::Free) {
            Stage::Waiting(job) => (Stage::Detached(job), false),
            Stage::Running => (Stage::Abandoned, false),
            other => (other, true),
        };
        *stage = next;
        let done = is_done.then(|| state.release(place));
        drop(state);
        drop((waker, done)); // the user's values, now that nothing is locked
    }
}

impl<J: Job> Future for Submitted<J> {
    type Output = Result<J::Output, JobError>;

    /// # Panics
    /// When it is polled after it has resolved.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let place = self.place.expect("a future is not polled after it has resolved");
        let mut state = self.shared.lock();
        let Place { stage, waker } = &mut state.places[place];
        if !matches!(stage, Stage::Done(_)) {
            if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
                let old = waker.replace(cx.waker().clone());
                drop(state);
                drop(old); // somebody else's, now that nothing is locked
            }
            return Poll::Pending;
        }
        let released = state.release(place);
        drop(state);
        self.place = None;
        let Stage::Done(result) = released.stage else { unreachable!("seen just now") };
        Poll::Ready(result)
    }
}

impl<J: Job> Drop for Submitted<J> {
    fn drop(&mut self) {
        let Some(place) = self.place.take() else { return };
        let mut state = self.shared.lock();
        let waker = state.places[place].waker.take();
        let dropped = match state.places[place].stage {
            Stage::Running => {
                state.places[place].stage = Stage::Abandoned;
                None
            }
            Stage::Waiting(_) => {
                state.queue.retain(|waiting| *waiting != place);
                Some(state.release(place))
            }
            _ => Some(state.release(place)),
        };
        drop(state);
        drop((waker, dropped)); // the user's values, now that nothing is locked
    }
}

/// Where a job is.
enum Stage<J: Job> {
    Free,
    /// In the queue.
    Waiting(J),
    /// In the queue, and nobody waits for its result.
    Detached(J),
    Running,
    /// As `Running`, and nobody waits for its result.
    Abandoned,
    Done(Result<J::Output, JobError>),
}

struct Place<J: Job> {
    stage: Stage<J>,
    waker: Option<Waker>,
}

impl<J: Job> Place<J> {
    const FREE: Self = Self { stage: Stage::Free, waker: None };
}

struct State<J: Job> {
    places: Vec<Place<J>>,
    /// Places whose stage is `Free`, each once.
    free: Vec<usize>,
    /// Places whose stage is `Waiting` or `Detached`, in the order they came.
    queue: VecDeque<usize>,
    closed: bool,
    /// Threads that have not ended, and of these, those that have a job.
    threads: usize,
    busy: usize,
    /// Threads that are parked for ever.
    dead: usize,
}

impl<J: Job> State<J> {
    /// Frees `place` and returns what was there, to be dropped once nothing is locked.
    fn release(&mut self, place: usize) -> Place<J> {
        self.free.push(place);
        std::mem::replace(&mut self.places[place], Place::FREE)
    }
}

/// What the executor, its futures and its threads share.
struct Shared<J: Job> {
    state: Mutex<State<J>>,
    /// There is a job, a thread has ended, or the executor was closed.
    changed: Condvar,
}

impl<J: Job> Shared<J> {
    fn new(capacity: usize) -> Self {
        let state = State {
            places: (0..capacity).map(|_| Place::FREE).collect(),
            free: (0..capacity).rev().collect(),
            queue: VecDeque::with_capacity(capacity),
            closed: false,
            threads: 0,
            busy: 0,
            dead: 0,
        };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State<J>> {
        // What it guards is never half changed: a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a thread, which ends when the executor is closed.
    fn start(self: Arc<Self>) -> io::Result<()> {
        self.lock().threads += 1;
        let shared = self.clone();
        let builder = std::thread::Builder::new().name("executor".to_owned());
        let started = builder.spawn(move || shared.work());
        if started.is_err() {
            self.lock().threads -= 1;
        }
        started.map(drop)
    }

    /// The body of a thread.
    fn work(self: Arc<Self>) {
        panics::enter(self.clone());
        while let Some((place, job)) = self.next() {
            let result = panics::catch(place, || job.run());
            self.finish(place, result);
        }
        panics::leave();
        let mut state = self.lock();
        state.threads -= 1;
        drop(state);
        self.changed.notify_all();
    }

    /// The next job, once there is one; `None` when the executor is closed.
    fn next(&self) -> Option<(usize, J)> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(place) = state.queue.pop_front() {
                let stage = &mut state.places[place].stage;
                let (job, running) = match std::mem::replace(stage, Stage::Free) {
                    Stage::Waiting(job) => (job, Stage::Running),
                    Stage::Detached(job) => (job, Stage::Abandoned),
                    _ => unreachable!("what is queued waits"),
                };
                *stage = running;
                state.busy += 1;
                return Some((place, job));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Puts a job's result where its future finds it, or throws it away.
    fn finish(&self, place: usize, result: Result<J::Output, JobError>) {
        let mut state = self.lock();
        let Place { stage, waker } = &mut state.places[place];
        if matches!(stage, Stage::Running) {
            *stage = Stage::Done(result);
            let waker = waker.take();
            state.busy -= 1;
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
            return;
        }
        drop(state);
        // Dropping the result is the job's last act: it has its place until then.
        if let Err(error) = result.and_then(|unwanted| panics::catch(place, || drop(unwanted))) {
            log::error!("a job that nobody waits for {error}");
        }
        let mut state = self.lock();
        state.busy -= 1;
        let released = state.release(place);
        drop(state);
        drop(released);
    }

    /// Lets no more jobs begin. Whether this was the first time.
    fn close(&self) -> bool {
        let mut state = self.lock();
        if std::mem::replace(&mut state.closed, true) {
            return false;
        }
        // One by one: each may have a waker to wake and a job to drop, with nothing locked.
        while let Some(place) = state.queue.pop_front() {
            let closed = Stage::Done(Err(JobError::Closed));
            let stage = std::mem::replace(&mut state.places[place].stage, closed);
            let waker = state.places[place].waker.take();
            if matches!(stage, Stage::Detached(_)) {
                state.release(place);
            }
            drop(state);
            drop(stage);
            if let Some(waker) = waker {
                waker.wake();
            }
            state = self.lock();
        }
        drop(state);
        self.changed.notify_all();
        true
    }

    /// Waits until every thread has ended, at most until `deadline`.
    fn wait(&self, deadline: Option<Instant>) -> Result<(), StillRunning> {
        let mut state = self.lock();
        while state.threads > 0 {
            state = match deadline {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() && state.busy > 0 {
                        return Err(StillRunning(state.busy));
                    }
                    // Threads without a job are on their way out, which takes them no time.
                    let left = left.max(Duration::from_millis(1));
                    let waited = self.changed.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        Ok(())
    }
}

impl<J: Job> panics::Pool for Shared<J> {
    fn bury(self: Arc<Self>, place: usize, panic: Panic) -> bool {
        let mut state = self.lock();
        if state.dead == DEAD_THREADS_MAX {
            return false;
        }
        state.dead += 1;
        drop(state);
        if self.clone().start().is_err() {
            return false;
        }
        self.finish(place, Err(JobError::Panicked(panic)));
        let mut state = self.lock();
        state.threads -= 1;
        drop(state);
        self.changed.notify_all();
        true
    }
}
