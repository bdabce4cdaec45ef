//! The guide: asynchronous code here, for those who know Tornado. Chapters and examples follow the
//! [Tornado guide](https://www.tornadoweb.org/en/stable/guide.html): "Asynchronous and non-Blocking
//! I/O", "Coroutines" and "Queue example". Every example runs in the simulator, where a minute
//! passes at once.
//!
//! Invariants: nothing here is code of a program; the examples are compiled and run with the tests.
//!
//! Layer: documentation, on top of everything in this crate.
//!
//! The examples run in a `reactor`, with `rt`, the [`Handle`](crate::handle::Handle) that stands
//! for Tornado's `IOLoop.current()`. Instead of HTTP, `fetch(rt, url)` needs 100 ms and knows a few
//! pages.
//!
//! # Asynchronous and non-blocking I/O
//!
//! ## Blocking
//!
//! A function **blocks** when it keeps the processor, or the thread, while it waits. There is one
//! thread and one reactor, as in Tornado: while one function blocks, no other connection is served.
//! What takes long is cut into pieces ([`yield_now`](crate::coroutine::yield_now)), or done
//! [elsewhere](#calling-blocking-functions).
//!
//! ## Asynchronous
//!
//! An **asynchronous** function returns before it is finished. Tornado's guide counts four ways to
//! hear of the end, and here they are:
//!
//! | Tornado | here |
//! |---|---|
//! | callback argument | [`Callbacks`](crate::callbacks::Callbacks), or any `impl FnOnce` |
//! | placeholder (`Future`) | every `async fn`; [`Oneshot`](crate::oneshot::Oneshot) |
//! | deliver to a queue | [`Queue`](crate::queues::Queue), [`Remote`](crate::remote::Remote) |
//! | callback registry (signals) | `Caught` in `dustdevil-std`; an interrupt and a `Remote` |
//!
//! ## Examples
//!
//! A synchronous function: it returns when it has the page, and nothing else happens meanwhile. It
//! may stand at the top of a program, and not in a coroutine.
//!
//! ```
//! # #[cfg(feature = "sim")] dustdevil_core::guide::in_world(|reactor| {
//! # use dustdevil_core::guide::{Reactor, fetch};
//! use dustdevil_core::handle::Handle;
//! use dustdevil_core::time::Duration;
//!
//! fn synchronous_fetch(reactor: &Reactor<'_>, url: &str) -> Option<&'static str> {
//!     let rt = Handle::from(reactor);
//!     // Runs the loop until the page is there.
//!     reactor.run_sync(Duration::from_secs(20), fetch(rt, url)).ok()?
//! }
//! assert_eq!(synchronous_fetch(reactor, "/"), Some("/async /queues"));
//! # });
//! ```
//!
//! The same function as a coroutine, and as what a coroutine is made of:
//!
//! ```
//! # #[cfg(feature = "sim")] dustdevil_core::guide::in_world(|reactor| {
//! # use dustdevil_core::guide::fetch;
//! use dustdevil_core::handle::Handle;
//! use dustdevil_core::oneshot::{Oneshot, Promise, add_done_callback};
//! # let rt = Handle::from(reactor);
//!
//! async fn asynchronous_fetch(rt: Handle<'_>, url: &str) -> Option<usize> {
//!     let page = fetch(rt, url).await?;
//!     Some(page.len())
//! }
//!
//! // By hand: a promise, and a callback that fulfils it. There is no heap to keep the callback in,
//! // so what waits for the page is a future that somebody runs.
//! fn fetch_manual<'a>(
//!     rt: Handle<'a>,
//!     url: &'a str,
//!     promise: Promise<'a, Option<usize>>,
//! ) -> impl Future<Output = ()> + 'a {
//!     add_done_callback(fetch(rt, url), move |page| {
//!         _ = promise.set_result_unless_cancelled(page.map(str::len));
//!     })
//! }
//!
//! # use dustdevil_core::coroutine::multi;
//! reactor.run(async {
//!     assert_eq!(asynchronous_fetch(rt, "/async").await, Some(17));
//!     let cell = Oneshot::new();
//!     let (promise, my_future) = cell.pair().expect("a cell of its own");
//!     let ((), length) = multi((fetch_manual(rt, "/async", promise), my_future)).await;
//!     assert_eq!(length, Ok(Some(17)));
//! });
//! # });
//! ```
//!
//! # Coroutines
//!
//! `async` and `await` are as in Python, and control changes hands at an `await` and nowhere else:
//! what stands between two of them needs no lock. Two things differ from Tornado's coroutines.
//! One that is not awaited does not run at all, as Python's native ones. And one that is dropped
//! **ends there**, with everything that it held: dropping is cancelling, so each operation says
//! under "Cancel-safe" what a drop leaves behind.
//!
//! There is no second kind to translate from: `gen.coroutine`, `gen.Return` and `yield` have no
//! counterpart.
//!
//! ## How it works
//!
//! The compiler turns an `async fn` into a value with a method `poll`, which runs it as far as the
//! next `await` whose future is not ready. That future keeps the task's *waker*; what makes it
//! ready wakes the task, and the reactor polls it again in its next turn. This is Tornado's
//! `Runner`, cut down in the same way:
//!
//! ```
//! # #[cfg(feature = "sim")] dustdevil_core::guide::in_world(|reactor| {
//! # use dustdevil_core::handle::Handle;
//! # use dustdevil_core::time::Duration;
//! use core::cell::Cell;
//! use core::pin::pin;
//! use core::task::{Context, Poll, Waker};
//!
//! fn run<T>(coroutine: impl Future<Output = T>, waker: &Waker, is_woken: impl Fn() -> bool) -> T {
//!     let mut coroutine = pin!(coroutine);
//!     loop {
//!         // `poll` runs it up to an `await` that has to wait; then somebody has the waker.
//!         if let Poll::Ready(value) = coroutine.as_mut().poll(&mut Context::from_waker(waker)) {
//!             return value;
//!         }
//!         // The reactor serves others and waits for the world, until the waker was used.
//!         while !is_woken() {}
//!     }
//! }
//!
//! let turns = Cell::new(0);
//! let twice = async {
//!     dustdevil_core::coroutine::yield_now().await;
//!     dustdevil_core::coroutine::yield_now().await;
//!     "done"
//! };
//! let is_woken = || turns.replace(turns.get() + 1) < 10;
//! assert_eq!(run(twice, Waker::noop(), is_woken), "done");
//! assert_eq!(turns.get(), 2);
//! # _ = (reactor, Duration::ZERO);
//! # });
//! ```
//!
//! ## How to call a coroutine
//!
//! An error is a value, so that none gets lost unseen: a `Result` that nobody looks at, and a
//! coroutine that nobody awaits, are warnings of the compiler (denied here).
//!
//! ```
//! # #[cfg(feature = "sim")] dustdevil_core::guide::in_world(|reactor| {
//! use dustdevil_core::handle::Handle;
//! use dustdevil_core::memory::Memory;
//! use dustdevil_core::tasks::Tasks;
//! use dustdevil_core::time::Duration;
//! # let rt = Handle::from(reactor);
//!
//! #[derive(Debug, PartialEq)]
//! struct ZeroDivision;
//!
//! async fn divide(x: i32, y: i32) -> Result<i32, ZeroDivision> {
//!     x.checked_div(y).ok_or(ZeroDivision)
//! }
//!
//! // Awaited, it gives its error to the caller, as `?` does in any function.
//! async fn good_call() -> Result<i32, ZeroDivision> {
//!     let half = divide(1, 0).await?;
//!     Ok(half + 1)
//! }
//!
//! // Fire and forget: `spawn_callback` is `Tasks::spawn`. What it failed with comes out of `next`.
//! static SLOTS: Memory<512> = Memory::new();
//! let tasks = Tasks::new(rt, &mut SLOTS.take(), 4);
//! assert!(tasks.spawn(divide(1, 0)).is_ok());
//!
//! // At the top of a program: `run_sync`, with a time limit or, as `run`, without.
//! let second = Duration::from_secs(1);
//! assert_eq!(reactor.run_sync(second, good_call()), Ok(Err(ZeroDivision)));
//! let spawned = reactor.run(tasks.next());
//! assert_eq!(spawned.map(|(_, result)| result), Some(Err(ZeroDivision)));
//! # });
//! ```
//!
//! # Coroutine patterns
//!
//! ## Interaction with callbacks
//!
//! What has only a callback is made into a future with a promise. What comes from another thread or
//! an interrupt goes through a [`Remote`](crate::remote::Remote), which is `add_callback`: the only
//! call that is allowed from there.
//!
//! ```
//! # #[cfg(feature = "sim")] dustdevil_core::guide::in_world(|reactor| {
//! use core::cell::Cell;
//! use dustdevil_core::callbacks::Callbacks;
//! use dustdevil_core::handle::Handle;
//! use dustdevil_core::memory::Memory;
//! use dustdevil_core::oneshot::{Oneshot, Promise};
//! use dustdevil_core::remote::Remote;
//! use dustdevil_core::time::Duration;
//! # use embassy_futures::select::{Either, select};
//! # let rt = Handle::from(reactor);
//!
//! // A callback fulfils a promise: the promise is what the callback is given.
//! static CALLS: Memory<256> = Memory::new();
//! let cell = Oneshot::new();
//! let (promise, answer) = cell.pair().expect("a cell of its own");
//! let calls: Callbacks<'_, '_, Promise<'_, u32>> = Callbacks::new(rt, &mut CALLS.take(), 1);
//! calls.call_later(Duration::from_secs(1), |promise| _ = promise.set_result(42)).expect("room");
//! let Either::First(answer) = reactor.run(select(answer, calls.run(&promise)));
//! assert_eq!(answer, Ok(42));
//!
//! // From elsewhere: functions that run on the reactor's thread, where they may touch everything.
//! struct App {
//!     samples: Cell<u32>,
//! }
//! static INBOX: Remote<fn(&App), 4> = Remote::new();
//!
//! let adc = std::thread::spawn(|| {
//!     let count: fn(&App) = |app| app.samples.set(app.samples.get() + 1);
//!     (0..3).all(|_| INBOX.send(count).is_ok())
//! });
//! let app = App { samples: Cell::new(0) };
//! let mut inbox = INBOX.receiver().expect("one at a time");
//! # assert!(adc.join().unwrap());
//! reactor.run(select(inbox.run(&app), rt.sleep(Duration::from_secs(1))));
//! assert_eq!(app.samples.get(), 3);
//! # });
//! ```
//!
//! ## Calling blocking functions
//!
//! `run_in_executor` is `Executor` in `dustdevil-std`: a bounded pool of threads, for Linux. What
//! it stands on is the same everywhere: the job goes to another thread, core or interrupt, its
//! result comes back through a `Remote`, and a promise wakes whoever waits.
//!
//! ```
//! # #[cfg(feature = "sim")] dustdevil_core::guide::in_world(|reactor| {
//! use dustdevil_core::oneshot::Oneshot;
//! use dustdevil_core::remote::Remote;
//! # use embassy_futures::select::{Either, select};
//!
//! fn blocking_func(password: &str) -> u32 {
//!     password.bytes().fold(5_381, |hash, byte| hash.wrapping_mul(33) ^ u32::from(byte))
//! }
//!
//! static RESULTS: Remote<u32, 2> = Remote::new();
//!
//! let cell = Oneshot::new();
//! let (promise, hash) = cell.pair().expect("a cell of its own");
//! let call_blocking = async {
//!     let job = std::thread::spawn(|| RESULTS.send(blocking_func("secret")));
//! #   // Virtual time waits for no thread.
//! #   assert!(job.join().is_ok());
//!     hash.await.expect("the promise is kept")
//! };
//! let mut results = RESULTS.receiver().expect("one at a time");
//! let deliver = results.for_each(|hash| _ = promise.set_result(hash));
//! let Either::First(hash) = reactor.run(select(call_blocking, deliver));
//! assert_eq!(hash, blocking_func("secret"));
//! # });
//! ```
//!
//! ## Parallelism
//!
//! [`multi`](crate::coroutine::multi) waits for several at once. A list that is as long as its
//! input goes into [`Tasks`](crate::tasks::Tasks), whose capacity says how many run at a time; a
//! dict of futures is n/a, for a name is what a tuple's `let` gives.
//!
//! ```
//! # #[cfg(feature = "sim")] dustdevil_core::guide::in_world(|reactor| {
//! # use dustdevil_core::guide::fetch;
//! use dustdevil_core::coroutine::{WaitIterator, multi, try_multi};
//! use dustdevil_core::handle::Handle;
//! use dustdevil_core::time::Duration;
//! use core::pin::pin;
//! # let rt = Handle::from(reactor);
//!
//! reactor.run(async {
//!     let began = rt.now();
//!     let [resp1, resp2] = multi([fetch(rt, "/"), fetch(rt, "/async")]).await;
//!     assert!(resp1.is_some() && resp2.is_some());
//!     // Of different types, with names.
//!     let (page, ()) = multi((fetch(rt, "/"), rt.sleep(Duration::from_millis(50)))).await;
//!     assert!(page.is_some());
//!     assert!(rt.now() - began < Duration::from_millis(210), "side by side");
//!
//!     // All of them, or the first error.
//!     let required = async |url| fetch(rt, url).await.ok_or(url);
//!     assert_eq!(try_multi([required("/"), required("/no"), required("/nor")]).await, Err("/no"));
//!
//!     // As they come: `WaitIterator`.
//!     let mut pages = [pin!(fetch(rt, "/")), pin!(fetch(rt, "/async"))];
//!     let mut wait = WaitIterator::new(&mut pages);
//!     while let Some(page) = wait.next().await {
//!         assert!(page.is_some() && wait.current_index().is_some());
//!     }
//! });
//! # });
//! ```
//!
//! ## Interleaving
//!
//! Tornado starts a coroutine with `convert_yielded`, does something else and awaits it later. Here
//! nothing runs that nobody polls, so the two are awaited together: the next chunk is fetched while
//! the last one is flushed.
//!
//! ```
//! # #[cfg(feature = "sim")] dustdevil_core::guide::in_world(|reactor| {
//! # use core::cell::Cell;
//! use dustdevil_core::coroutine::multi;
//! use dustdevil_core::handle::Handle;
//! use dustdevil_core::time::Duration;
//! # let rt = Handle::from(reactor);
//! # let mut chunks = 0..5;
//! # let mut fetch_next_chunk = || {
//! #     let chunk = chunks.next();
//! #     async move {
//! #         rt.sleep(Duration::from_millis(100)).await;
//! #         chunk
//! #     }
//! # };
//! # let written = Cell::new(0);
//! # let write = |_| written.set(written.get() + 1);
//! # let flush = || rt.sleep(Duration::from_millis(100));
//!
//! reactor.run(async {
//!     let began = rt.now();
//!     let mut chunk = fetch_next_chunk().await;
//!     while let Some(bytes) = chunk {
//!         write(bytes);
//!         // Both are under way at once, and both have ended after this.
//!         (chunk, ()) = multi((fetch_next_chunk(), flush())).await;
//!     }
//!     assert_eq!(written.get(), 5);
//!     assert!(rt.now() - began < Duration::from_millis(620), "and not 1,100");
//! });
//! # });
//! ```
//!
//! What is to go on while its caller does something else again and again is a task:
//! [`Tasks::spawn`](crate::tasks::Tasks::spawn), with a [`Oneshot`](crate::oneshot::Oneshot) for
//! what it finds.
//!
//! ## Looping
//!
//! `async for` is a `while let` over anything with an asynchronous `next`: a queue, a stream, the
//! tasks, a cursor.
//!
//! ```
//! # #[cfg(feature = "sim")] dustdevil_core::guide::in_world(|reactor| {
//! # use dustdevil_core::handle::Handle;
//! # use dustdevil_core::time::Duration;
//! # let rt = Handle::from(reactor);
//! struct Cursor<'c> {
//!     rt: Handle<'c>,
//!     rows: core::ops::Range<u32>,
//! }
//!
//! impl Cursor<'_> {
//!     async fn fetch_next(&mut self) -> Option<u32> {
//!         self.rt.sleep(Duration::from_millis(1)).await;
//!         self.rows.next()
//!     }
//! }
//!
//! let sum = reactor.run(async {
//!     let mut cursor = Cursor { rt, rows: 0..10 };
//!     let mut sum = 0;
//!     while let Some(doc) = cursor.fetch_next().await {
//!         sum += doc;
//!     }
//!     sum
//! });
//! assert_eq!(sum, 45);
//! # });
//! ```
//!
//! ## Running in the background
//!
//! A loop that never ends runs beside the rest, spawned or joined; a
//! [`PeriodicCallback`](crate::periodic::PeriodicCallback) is the third way. The first of these
//! loops runs every `60 + N` seconds, where `N` is what its work takes; the second every 60, for a
//! sleep's time runs from when it was made; and only the last never drifts.
//!
//! ```
//! # #[cfg(feature = "sim")] dustdevil_core::guide::in_world(|reactor| {
//! # use core::cell::Cell;
//! use dustdevil_core::handle::Handle;
//! use dustdevil_core::memory::Memory;
//! use dustdevil_core::periodic::PeriodicCallback;
//! use dustdevil_core::tasks::Tasks;
//! use dustdevil_core::time::Duration;
//! # use embassy_futures::select::{select, select3};
//! # let rt = Handle::from(reactor);
//! # let counts = [const { Cell::new(0) }; 3];
//! # let counts = &counts;
//! # let do_something = async move |which: usize| {
//! #     counts[which].set(counts[which].get() + 1);
//! #     rt.sleep(Duration::from_secs(15)).await;
//! # };
//! const MINUTE: Duration = Duration::from_secs(60);
//!
//! let minute_loop = async || {
//!     loop {
//!         do_something(0).await;
//!         rt.sleep(MINUTE).await;
//!     }
//! };
//!
//! let minute_loop2 = async || {
//!     loop {
//!         let next = rt.sleep(MINUTE); // Start the clock.
//!         do_something(1).await; // Run while the clock is ticking.
//!         next.await; // Wait for the timer to run out.
//!     }
//! };
//!
//! let periodic = PeriodicCallback::new(reactor, MINUTE);
//! periodic.start();
//! let each_minute = periodic.run_async(async || do_something(2).await);
//!
//! // Loops for ever are spawned, each shape in its own `Tasks`, or joined with the main future.
//! static SLOTS: Memory<1024> = Memory::new();
//! let tasks = Tasks::new(rt, &mut SLOTS.take(), 1);
//! assert!(tasks.spawn(minute_loop()).is_ok());
//! let background = select3(tasks.run(), minute_loop2(), each_minute);
//! _ = reactor.run_sync(Duration::from_secs(3_599), background);
//! // In an hour: every 75 s; every 60; and every 60, the first after a minute.
//! assert_eq!([counts[0].get(), counts[1].get(), counts[2].get()], [48, 60, 59]);
//! # });
//! ```
//!
//! # Queue example: a concurrent web spider
//!
//! Workers take addresses from a [`Queue`](crate::queues::Queue), fetch the pages and put the links
//! that they find there into it. A queue counts what was put and not yet done:
//! [`join`](crate::queues::AnyQueue::join) is over when a worker has finished the last page and
//! nothing new was found.
//!
//! ```
//! # #[cfg(feature = "sim")] dustdevil_core::guide::in_world(|reactor| {
//! # use dustdevil_core::guide::fetch;
//! use core::cell::RefCell;
//! use dustdevil_core::coroutine::multi;
//! use dustdevil_core::handle::Handle;
//! use dustdevil_core::queues::{Queue, QueueWaiter};
//! use dustdevil_core::time::Duration;
//! use heapless::{Deque, Vec};
//!
//! const CONCURRENCY: usize = 3;
//! const PAGES_MAX: usize = 16;
//!
//! #[derive(Default)]
//! struct Found {
//!     fetching: Vec<&'static str, PAGES_MAX>,
//!     fetched: Vec<&'static str, PAGES_MAX>,
//!     dead: Vec<&'static str, PAGES_MAX>,
//! }
//!
//! /// `None` ends a worker.
//! type Urls<'m> = Queue<'m, Option<&'static str>>;
//!
//! async fn worker(rt: Handle<'_>, urls: &Urls<'_>, found: &RefCell<Found>) {
//!     while let Ok(Some(url)) = urls.get().await {
//!         // Nothing is borrowed across an `await`.
//!         let is_new = !found.borrow().fetching.contains(&url);
//!         if is_new && found.borrow_mut().fetching.push(url).is_ok() {
//!             match fetch(rt, url).await {
//!                 Some(page) => {
//!                     found.borrow_mut().fetched.push(url).expect("room for each");
//!                     for link in page.split_whitespace().filter(|word| word.starts_with('/')) {
//!                         urls.put(Some(link)).await.expect("a waiter for each worker");
//!                     }
//!                 }
//!                 None => found.borrow_mut().dead.push(url).expect("room for each"),
//!             }
//!         }
//!         urls.task_done().expect("one for each item");
//!     }
//! }
//!
//! # let rt = Handle::from(reactor);
//! let mut items = Deque::<_, PAGES_MAX>::new();
//! let mut waiters = [const { QueueWaiter::new() }; CONCURRENCY + 1];
//! let urls: Urls<'_> = Queue::new(&mut items, &mut waiters);
//! let found = RefCell::default();
//! let main = async {
//!     urls.put(Some("/")).await.expect("there is room");
//!     let joined = rt.timeout(Duration::from_secs(300), urls.join()).await;
//!     joined.expect("in time").expect("a waiter");
//!     for _ in 0..CONCURRENCY {
//!         urls.put(None).await.expect("there is room");
//!     }
//! };
//! let began = rt.now();
//! let workers = multi([(); CONCURRENCY].map(|()| worker(rt, &urls, &found)));
//! reactor.run(multi((main, workers)));
//!
//! let found = found.into_inner();
//! assert_eq!(found.fetched, ["/", "/async", "/queues", "/coroutines"]);
//! assert_eq!(found.dead, ["/locks"]);
//! assert_eq!(found.fetching.len(), found.fetched.len() + found.dead.len());
//! assert!(rt.now() - began < Duration::from_millis(330), "three rounds for five pages");
//! # });
//! ```

/// What the examples run in; a part of no program.
#[cfg(feature = "sim")]
mod example {
    use crate::handle::Handle;
    use crate::memory::Memory;
    use crate::reactor::{self, Capacity};
    use crate::sim::{self, Faults, Sim, World};
    use crate::time::Duration;

    const CAPACITY: Capacity =
        Capacity { sources: 0, timers: 16, groups: 0, tasks: 1, waiters: 0 }.plus_tasks(4);

    const SITE: [(&str, &str); 4] = [
        ("/", "/async /queues"),
        ("/async", "on to /coroutines"),
        ("/queues", "see / and /async or /locks"),
        ("/coroutines", "the end; / is the begin"),
    ];

    #[doc(hidden)]
    pub type Reactor<'m> = reactor::Reactor<'m, Sim>;

    #[doc(hidden)]
    pub fn in_world(example: impl FnOnce(&Reactor<'_>)) {
        static MEMORY: Memory<{ CAPACITY.bytes() }> = Memory::new();
        let world = World::new(1, Faults::NONE);
        let wakes = sim::wakes(CAPACITY.tasks);
        example(&reactor::Reactor::new(Sim::new(&world), MEMORY.take(), CAPACITY, wakes));
    }

    #[doc(hidden)]
    pub async fn fetch(rt: Handle<'_>, url: &str) -> Option<&'static str> {
        rt.sleep(Duration::from_millis(100)).await;
        SITE.iter().find(|(of, _)| *of == url).map(|&(_, page)| page)
    }
}

#[cfg(feature = "sim")]
#[doc(hidden)]
pub use example::{Reactor, fetch, in_world};
