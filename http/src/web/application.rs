//! An application: one value that answers requests.
//!
//! Invariant: the future's type is never named and never boxed; its size is a constant that the
//! compiler infers, so that a `static` can hold room for it.

use core::future::Future;

use dustdevil_core::task::Slots;

use crate::server::exchange::{Exchange, Fault, Sent};

/// What a [`Server`](crate::Server) serves: state, and a response to each request.
///
/// Usually written by [`routes!`](crate::routes); by hand it is an `async fn`:
///
/// ```
/// use dustdevil_http::{Application, Exchange, Fault, Sent, text};
/// struct Echo;
/// impl Application for Echo {
///     async fn respond(&self, x: Exchange<'_>) -> Result<Sent, Fault> {
///         x.out.reply(text(x.head.path())).await
///     }
/// }
/// ```
pub trait Application {
    /// Answers one request. The future is dropped when its deadline passes before the response
    /// began, or some time after the peer is gone (see [`Limits`](crate::Limits)).
    fn respond(&self, exchange: Exchange<'_>) -> impl Future<Output = Result<Sent, Fault>>;
}

/// The size of the application's largest handler's future, in bytes: what each slot holds.
pub const fn future_bytes<A: Application + 'static>() -> usize {
    output_bytes::<_, &'static A, _>(&A::respond)
}

/// The bytes of a table of `count` slots for the application's futures.
pub(crate) const fn slots_bytes<A: Application + 'static>(count: usize) -> usize {
    output_slots_bytes::<_, &'static A, _>(&A::respond, count)
}

const fn output_bytes<F, A, R>(_: &F) -> usize
where
    F: FnOnce(A, Exchange<'static>) -> R,
{
    size_of::<R>()
}

const fn output_slots_bytes<F, A, R>(_: &F, count: usize) -> usize
where
    F: FnOnce(A, Exchange<'static>) -> R,
    R: Future,
{
    Slots::<'static, R>::bytes(count)
}
