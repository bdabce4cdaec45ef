//! The response that most are: 200, all of it there, on a connection that goes on.
//!
//! Invariant: what [`Conn::send_whole`] writes is what [`Conn::send_head`] and [`Conn::send_body`]
//! would have written, and leaves the state that they would have left; or nothing happens at all.
//!
//! Place: beside [`send`](super::send), which takes any other response. There is no head in memory
//! to look at and nothing that has to be undone: that is half of such a response's cost.

use super::conn::{Send, UPGRADE};
use super::write::Digits;
use super::{Conn, MediaType, Prefix, Server};

impl Conn<Server> {
    /// Writes a whole response with the status 200: the number of bytes written. `None`: the state
    /// is as before (`out` may be written to all the same), because `prefix` was not rendered,
    /// because `out` has too little room for all of it, or because the request asks for more care
    /// (HEAD, HTTP/1.0, the end of the connection): [`Conn::send_head`] and [`Conn::send_body`]
    /// take any response.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn send_whole(
        &mut self,
        out: &mut [u8],
        prefix: &Prefix,
        content_type: Option<MediaType<'_>>,
        body: &[u8],
    ) -> Option<usize> {
        if self.send != Send::Idle || self.flags & !UPGRADE != 0 {
            return None;
        }
        let room = out.len();
        let mut rest = prefix.put_whole(out)?;
        rest = put_length(rest, body.len())?;
        if let Some(content_type) = content_type {
            rest = put(rest, b"\r\nContent-Type: ")?;
            rest = put(rest, content_type.as_str().as_bytes())?;
        }
        rest = put(rest, b"\r\n\r\n")?;
        rest = put(rest, body)?;
        self.send = Send::Done;
        self.send_left = 0;
        Some(room - rest.len())
    }
}

/// Copies `bytes` to the front of `out`: what is left of that.
#[cfg_attr(not(target_os = "none"), inline(always))]
#[cfg_attr(target_os = "none", inline(never))]
pub(super) fn put<'a>(out: &'a mut [u8], bytes: &[u8]) -> Option<&'a mut [u8]> {
    let (place, rest) = out.split_at_mut_checked(bytes.len())?;
    place.copy_from_slice(bytes);
    Some(rest)
}

/// A decimal number.
#[inline(always)]
fn put_length(out: &mut [u8], length: usize) -> Option<&mut [u8]> {
    if !(10..100).contains(&length) {
        return put(out, Digits::new(length as u64).as_bytes());
    }
    // As most short texts have it.
    put(out, &[b'0' + length as u8 / 10, b'0' + length as u8 % 10])
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::super::{BodyOut, Head, HeadOut, Limits, Status};
    use super::*;
    use std::vec;

    fn conn_after(request: &[u8]) -> Conn {
        let mut fields = [Default::default(); 8];
        let mut conn = Conn::server();
        conn.recv(request, false, &mut Head::new(&mut fields), &Limits::DEFAULT).unwrap();
        conn
    }

    /// The same by head and body; `None` where that is not what `send_whole` is for.
    fn in_parts(
        conn: &mut Conn,
        out: &mut [u8],
        prefix: &Prefix,
        content_type: Option<MediaType<'_>>,
        body: &[u8],
    ) -> Option<usize> {
        let length = BodyOut::Length(body.len() as u64);
        let prefix = Some(prefix);
        let head = HeadOut { prefix, content_type, body: length, ..HeadOut::response(Status::OK) };
        let len = conn.send_head(out, &head).ok()?;
        let (taken, written) = conn.send_body(body, &mut out[len..]);
        (taken == body.len()).then_some(len + written)
    }

    #[test]
    fn a_whole_response_is_its_head_and_its_body() {
        let mut prefix = Prefix::new();
        prefix.render("Dustdevil", Some(b"Sun, 06 Nov 1994 08:49:37 GMT")).unwrap();
        let bodies = [0, 1, 9, 10, 13, 99, 100, 101, 1000].map(|len| vec![b'x'; len]);
        for (request, is_usual) in [
            (&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], true),
            (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", true),
            (b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", true),
            (b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", false),
            (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false),
            (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false),
            (b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", false),
            (
                b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
                false,
            ),
        ] {
            for content_type in [None, Some(MediaType::PLAIN)] {
                for body in &bodies {
                    let (mut whole, mut parts) = (conn_after(request), conn_after(request));
                    let (mut out, mut expected) = ([0; 2000], [0; 2000]);
                    let len = whole.send_whole(&mut out, &prefix, content_type, body);
                    assert_eq!(len.is_some(), is_usual, "{}", request.escape_ascii());
                    let Some(len) = len else {
                        assert!(!whole.send_started() && out == [0; 2000]);
                        continue;
                    };
                    let expected_len =
                        in_parts(&mut parts, &mut expected, &prefix, content_type, body);
                    assert_eq!(Some(len), expected_len);
                    assert_eq!(out[..len], expected[..len]);
                    assert_eq!(std::format!("{whole:?}"), std::format!("{parts:?}"));
                }
            }
        }
    }

    #[test]
    fn without_room_for_all_of_it_nothing_is_said() {
        let mut prefix = Prefix::new();
        assert_eq!(Conn::server().send_whole(&mut [0; 256], &prefix, None, b""), None);
        prefix.render("s", None).unwrap();
        for len in [0, 7, 70, 700] {
            let body = vec![b'x'; len];
            let mut out = vec![0; 2000];
            let send = |out: &mut [u8]| {
                let mut conn = Conn::server();
                let sent = conn.send_whole(out, &prefix, Some(MediaType::JSON), &body);
                assert_eq!(sent.is_some(), conn.send_started());
                sent
            };
            let needed = send(&mut out).unwrap();
            for room in 0..needed {
                assert_eq!(send(&mut out[..room]), None, "{room} of {needed}");
            }
            assert_eq!(send(&mut out[..needed]), Some(needed));
        }
    }

    #[test]
    fn nothing_is_said_twice() {
        let mut prefix = Prefix::new();
        prefix.render("s", None).unwrap();
        let (mut conn, mut out) = (Conn::server(), [0; 256]);
        assert!(conn.send_whole(&mut out, &prefix, None, b"a").is_some());
        assert_eq!(conn.send_whole(&mut out, &prefix, None, b"a"), None);
    }
}
