//! HTTP/1.1 as a machine without I/O: bytes in, events and bytes out, for both roles
//! (RFC 9112, RFC 9110).
//!
//! Invariants:
//! - Nothing here knows a socket, a clock, a task or the owner of a buffer. What must outlive a
//!   call is 24 bytes, [`Conn`]; everything else is a range into the caller's bytes.
//! - Any split of the input gives the same events, in time linear in the input.
//! - A message whose end could be understood in two ways is rejected, never guessed.
//! - What is written is well-formed: framing fields are [`Conn`]'s alone, and a field that would
//!   break out of its line is refused.
//!
//! Place: above `httparse`, below the server's driver and the client, which own buffers,
//! deadlines and connections. The server, the client, the simulator and the fuzz target all
//! call the same [`Conn::recv`].
//!
//! ```
//! use dustdevil_http::proto::*;
//!
//! let mut conn = Conn::server();
//! let mut fields = [FieldRange::default(); 8];
//! let input = b"GET /led?on=1 HTTP/1.1\r\nHost: board\r\n\r\n";
//! let mut head = Head::new(&mut fields);
//! let step = conn.recv(input, false, &mut head, &Limits::DEFAULT).unwrap();
//! assert_eq!((step.consumed, step.event), (input.len(), Some(Event::Head)));
//! let path = head.facts.path.slice(input);
//! assert_eq!((head.facts.method, path), (Method::Get, &b"/led"[..]));
//! assert!(head.fields[0].is(input, "host"));
//!
//! let mut out = [0; 128];
//! let answer = HeadOut { body: BodyOut::Length(3), ..HeadOut::response(Status::OK) };
//! let mut len = conn.send_head(&mut out, &answer).unwrap();
//! len += conn.send_body(b"lit", &mut out[len..]).1;
//! assert_eq!(&out[..len], b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nlit");
//! assert!(conn.recv_done() && conn.send_done());
//! conn.next_cycle().unwrap();
//! ```

mod authority;
mod body;
mod conn;
#[cfg(test)]
mod corpus;
pub mod date;
mod defer;
mod event;
mod field;
mod head;
mod line;
mod media;
mod method;
mod role;
mod send;
mod status;
mod whole;
mod write;

#[cfg(any(test, feature = "_fuzz"))]
mod exercise;

pub use conn::Conn;
pub use event::{Busy, Event, Head, Limits, Reject, Step};
#[cfg(any(test, feature = "_fuzz"))]
pub use exercise::exercise;
pub(crate) use field::is_ignoring_case;
pub use field::{FieldRange, Span};
pub use head::{BodyKind, FIELDS_MAX, HeadFacts, Version};
pub use media::MediaType;
pub use method::Method;
pub(crate) use method::NAMED;
pub use role::{Client, Role, Server};
pub use status::Status;
pub use write::{BodyOut, HeadOut, Prefix, SendError, StartLine};
