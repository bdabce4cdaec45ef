//! A reactor over epoll with a deadline, for tests of what stands on one.

use std::future::Future;

use dustdevil_core::handle::Handle;
use dustdevil_core::reactor::{Capacity, Reactor};
use dustdevil_core::time::Duration;
use dustdevil_core::wake::Wakes;
use dustdevil_std::watch::Host;
use dustdevil_std::{Epoll, zeroed};

pub(crate) const CAPACITY: Capacity =
    Capacity { sources: 0, timers: 8, groups: 0, tasks: 1, waiters: 0 }
        .plus_streams(8)
        .plus_tasks(8);

/// Longer than anything takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Runs what `test` makes of a reactor, which has to end in time.
pub(crate) fn run<R>(test: impl AsyncFnOnce(Host<'_>) -> R) -> R {
    let mut tables = zeroed(CAPACITY.bytes());
    let wakes: &'static Wakes<16> = Box::leak(Box::new(Wakes::new()));
    let reactor = Reactor::new(Epoll::new().unwrap(), tables.block(), CAPACITY, wakes);
    let host = Host::from(&reactor);
    reactor.run(host.handle().timeout(PATIENCE, test(host))).expect("it ends in time")
}

/// Waits for what another thread or the kernel does, a millisecond at a time.
pub(crate) async fn until(handle: Handle<'_>, mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        handle.sleep(Duration::from_millis(1)).await;
    }
}

/// Whether `future` is not ready yet.
pub(crate) async fn is_pending(future: &mut (impl Future + Unpin)) -> bool {
    std::future::poll_fn(|cx| std::pin::Pin::new(&mut *future).poll(cx).is_pending().into()).await
}
